package test

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// mark is in every value of the first tenant, and in nothing that the second sends.
const mark = "of-tenant-one"

// The second tenant's credential gets nothing of the first on any method of one
// message, with ids, references, versions, cursors and names of the first; and what
// the first has stays as it is.
func TestTenants_GetNothingOfEachOther(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		user := p.must(t, 201, http.MethodPost, "/Users", `{"userName":"user-`+mark+`","title":"`+mark+`"}`)["id"].(string)
		p.must(t, 201, http.MethodPost, "/Users", `{"userName":"second-`+mark+`"}`)
		group := p.must(t, 201, http.MethodPost, "/Groups", `{"displayName":"group-`+mark+`","members":[{"value":"`+user+`"}]}`)["id"].(string)
		cursor, _ := p.must(t, 200, http.MethodGet, "/Users?cursor&count=1", "")["nextCursor"].(string)
		if cursor == "" {
			t.Fatal("there is no cursor")
		}
		addTenant(t, p.database, "token-of-the-other", "scim admin")
		mustRun(t, command(p.database, "credential", "create", "secret-"+mark, "--scope", "scim"))
		before := p.everything(t)

		conn, calls, answers := p.dial(t), 0, 0
		protoregistry.GlobalFiles.RangeFilesByPackage("muster.v1", func(f protoreflect.FileDescriptor) bool {
			for i := range f.Services().Len() {
				methods := f.Services().Get(i).Methods()
				for j := range methods.Len() {
					method := methods.Get(j)
					if method.IsStreamingServer() {
						continue
					}
					for _, id := range []string{user, group} {
						for _, tenant := range []string{"", "default"} {
							values := map[protoreflect.Name]string{"id": id, "ids": id, "tenant": tenant, "name": "default", "page_token": cursor,
								"if_match": `W/"1"`, "resource_type": "User", "value": id, "path": "/Users/" + id, "bulk_id": "1", "user_name": "own", "display_name": "own"}
							request := dynamicpb.NewMessage(method.Input())
							fill(request, values, 0)
							answer := dynamicpb.NewMessage(method.Output())
							name := "/" + string(method.Parent().FullName()) + "/" + string(method.Name())
							err := conn.Invoke(bearing("token-of-the-other"), name, request, answer)
							said := protojson.Format(answer)
							if calls++; err == nil {
								answers++
							} else {
								said += err.Error()
							}
							if strings.Contains(said, mark) || id == group && strings.Contains(said, user) {
								t.Errorf("%s tells of the first tenant: %s", name, said)
							}
						}
					}
				}
			}
			return true
		})
		if calls < 100 || answers < 20 {
			t.Errorf("%d calls, %d of them with an answer: this test looks in the wrong place", calls, answers)
		}
		if after := p.everything(t); after != before {
			t.Errorf("the first tenant has changed: it was\n%s\nand is\n%s", before, after)
		}
	})
}

// fill sets the strings of a message, and of those in it, by the names of the fields.
func fill(m protoreflect.Message, values map[protoreflect.Name]string, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		text := values[f.Name()]
		switch {
		case f.IsMap():
		case f.Kind() == protoreflect.StringKind && text != "" && f.IsList():
			m.Mutable(f).List().Append(protoreflect.ValueOfString(text))
		case f.Kind() == protoreflect.StringKind && text != "":
			m.Set(f, protoreflect.ValueOfString(text))
		case f.Kind() != protoreflect.MessageKind || depth > 2 || !strings.HasPrefix(string(f.Message().FullName()), "muster."):
		case f.IsList():
			fill(m.Mutable(f).List().AppendMutable().Message(), values, depth+1)
		default:
			fill(m.Mutable(f).Message(), values, depth+1)
		}
	}
}

// everything is what the first tenant has: resources, log of changes, credentials.
func (p *program) everything(t *testing.T) string {
	t.Helper()
	all := string(p.rest(t, http.MethodGet, "/Users", "").body) + string(p.rest(t, http.MethodGet, "/Groups", "").body)
	changes, err := musterv1.NewChangeServiceClient(p.dial(t)).ListChanges(context.WithoutCancel(authorized()), &musterv1.ListChangesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes.GetChanges() {
		all += "\n" + c.String()
	}
	// Their names alone: when one was last used does change.
	names := regexp.MustCompile(`"name":\s*"[^"]*"`).FindAllString(mustRun(t, command(p.database, "credential", "list", "--json")), -1)
	if len(names) < 2 {
		t.Fatalf("the credentials are %q", names)
	}
	return all + strings.Join(names, "\n") + mustRun(t, command(p.database, "tenant", "get", "default"))
}
