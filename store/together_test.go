package store

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/muster-scim/muster/scim"
)

// Resources that name each other are created all or none, and the error says
// whose it is.
func TestCreateTogether(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		create(t, tenant, scim.User, `{"userName":"taken"}`)
		other := create(t, secondTenant(t, s), scim.User, `{"userName":"other"}`)
		ids := make([]string, 4)
		for i := range ids {
			var err error
			if ids[i], err = NewID(); err != nil {
				t.Fatal(err)
			}
		}
		// Groups 0 and 1 hold each other, and 0 the user 2; what else stands in them
		// is up to the case.
		try := func(userName, in0, in1 string) (int, error) {
			return tenant.CreateTogether(context.Background(), []*New{
				{Type: scim.Group, ID: ids[0], Resource: decode(t, scim.Group, `{"displayName":"0","members":[%q,%q%s]}`, ids[1], ids[2], in0)},
				{Type: scim.Group, ID: ids[1], Resource: decode(t, scim.Group, `{"displayName":"1","members":[%q%s]}`, ids[0], in1)},
				{Type: scim.User, ID: ids[2], Resource: decode(t, scim.User, `{"userName":%q}`, userName)},
				{Type: scim.User, ID: ids[3], Resource: decode(t, scim.User, `{"userName":"last"}`)},
			})
		}
		before := strings.Join(logged(t, tenant), "\n")
		for _, c := range []struct {
			userName, in0, in1 string
			failed             int
			reason             scim.Reason
		}{
			{"taken", "", "", 2, scim.Uniqueness},
			{"last", "", "", 3, scim.Uniqueness},
			{"free", "", `,"nobody"`, 1, scim.InvalidValue},
			{"free", fmt.Sprintf(",%q", other), "", 0, scim.InvalidValue},
		} {
			failed, err := try(c.userName, c.in0, c.in1)
			if failed != c.failed || scim.ReasonOf(err) != c.reason {
				t.Errorf("%+v: %d, %v", c, failed, err)
			}
		}
		for _, id := range ids {
			if _, err := tenant.Get(context.Background(), scim.Group, id, false); scim.ReasonOf(err) != scim.NotFound {
				t.Errorf("%s is there after a failure: %v", id, err)
			}
		}
		if after := strings.Join(logged(t, tenant), "\n"); after != before {
			t.Errorf("failures are in the log of changes:\n%s", after)
		}
		if _, err := try("free", "", ""); err != nil {
			t.Fatal(err)
		}
		for i, want := range map[int]string{0: ids[1] + " " + ids[2], 1: ids[0]} {
			if got := strings.Join(membersOf(t, tenant, ids[i]), " "); got != want {
				t.Errorf("group %d has %s, want %s", i, got, want)
			}
		}
		want := [][2]string{
			{"Group create 1", fmt.Sprintf(`"members":{"added":[%q,%q]}`, ids[1], ids[2])}, {"Group create 1", fmt.Sprintf(`"members":{"added":[%q]}`, ids[0])},
			{"User create 1", `"userName":"free"`}, {"User create 1", `"userName":"last"`},
		}
		got := logged(t, tenant)
		for i, line := range got[len(got)-len(want):] {
			if !strings.HasPrefix(line, want[i][0]) || !strings.Contains(strings.ReplaceAll(line, " ", ""), want[i][1]) {
				t.Errorf("the log says %s, want %s with %s", line, want[i][0], want[i][1])
			}
		}
	})
}
