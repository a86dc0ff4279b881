package test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// observer is a client of ActivityService with the scope admin:read, and one that may
// write too.
func (p *program) observer(t *testing.T) (client musterv1.ActivityServiceClient, look, change context.Context) {
	t.Helper()
	look = bearing(p.secret(t, "create", "observer", "--scope", "admin:read"))
	change = bearing(p.secret(t, "create", "changer", "--scope", "admin"))
	return musterv1.NewActivityServiceClient(p.dial(t)), look, change
}

// exchanges waits until there are as many exchanges of a filter, and returns them, the
// oldest first.
func exchanges(t *testing.T, c musterv1.ActivityServiceClient, ctx context.Context, n int, f *musterv1.ExchangeFilter) []*musterv1.LoggedExchange {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		got, err := c.ListExchanges(ctx, &musterv1.ListExchangesRequest{Filter: f, PageSize: 500})
		if err != nil {
			t.Fatal(err)
		}
		all := got.GetExchanges()
		if len(all) < n && time.Now().Before(deadline) {
			continue
		}
		if len(all) != n {
			t.Fatalf("there are %d exchanges, want %d: %v", len(all), n, all)
		}
		for i := range len(all) / 2 {
			all[i], all[len(all)-1-i] = all[len(all)-1-i], all[i]
		}
		return all
	}
}

// What goes wrong when a client is set up shows up with its reason and a hint, in one
// list, whether it is known whose request it was or not.
func TestActivity_TellsWhyVerifyFails(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		c, look, _ := p.observer(t)
		basic := func(login, password string) string {
			return "Basic " + base64.StdEncoding.EncodeToString([]byte(login+":"+password))
		}
		bearer, password := p.secret(t, "create", "cy", "--scope", "scim"), p.secret(t, "create", "cybasic", "--kind", "basic", "--scope", "scim")
		gone, old := p.secret(t, "create", "gone", "--scope", "scim"), p.secret(t, "create", "turned", "--scope", "scim")
		ended, narrow := p.secret(t, "create", "ended", "--scope", "scim"), p.secret(t, "create", "narrow", "--scope", "scim:User")
		far := p.secret(t, "create", "far", "--scope", "scim", "--network", "192.0.2.0/24")
		p.runs(t, "credential", "revoke", "gone")
		p.runs(t, "credential", "rotate", "turned", "--overlap", "0s")
		execute(t, p.database, "UPDATE credentials SET expires_at = 1 WHERE name = 'ended'")
		p.runs(t, "tenant", "create", "acme")
		asleep := p.secret(t, "create", "asleep", "--tenant", "acme", "--scope", "scim")
		p.runs(t, "tenant", "suspend", "acme")
		root := strings.TrimSuffix(p.base, "/scim/v2")
		for i, test := range []struct {
			path, authorization string
			status              int
			cause               string
			credential, tenant  string
			hint                string
		}{
			{"/Users?count=1", "", 401, "NO_CREDENTIAL", "", "-", "no credential"},
			{"/Users?count=1", "Bearer a b c", 401, "MALFORMED", "", "-", "cannot be read"},
			{"/Users?count=1", "Bearer nothing-of-ours", 401, "UNKNOWN_SECRET", "", "-", "no secret of this server"},
			{"/Users?count=1", "Bearer " + gone, 401, "REVOKED", "gone", "default", "was revoked"},
			{"/Users?count=1", "Bearer " + old, 401, "ROTATED", "turned", "default", "old secret"},
			{"/Users?count=1", "Bearer " + ended, 401, "EXPIRED", "ended", "default", "has expired"},
			{"/Users?count=1", basic("cy", bearer), 401, "WRONG_SCHEME", "cy", "default", "another way"},
			{"/Users?count=1", bearer, 401, "WRONG_SCHEME", "cy", "default", "another way"},
			{"/Users?count=1", "Bearer " + password, 401, "WRONG_SCHEME", "cybasic", "default", "another way"},
			{"/Users?count=1", basic("other", password), 401, "WRONG_LOGIN", "cybasic", "default", "login is not"},
			{"/Users?count=1", "Bearer " + far, 403, "WRONG_ADDRESS", "far", "default", "from this address"},
			{root + "/t/acme/scim/v2/Users", "Bearer " + bearer, 403, "WRONG_TENANT", "cy", "default", "another tenant"},
			{"/Groups", "Bearer " + narrow, 403, "LACKS_SCOPE", "narrow", "default", "lacks the scope"},
			{root + "/Users?count=1", "Bearer " + bearer, 404, "UNSPECIFIED", "cy", "default", "lacks /scim/v2"},
			{root + "/scim/v2/scim/v2/Users", "Bearer " + bearer, 404, "UNSPECIFIED", "cy", "default", "twice"},
			{root + "/ServiceProviderConfig", "Bearer nothing-of-ours", 404, "UNSPECIFIED", "", "-", "lacks /scim/v2"},
			{"/ServiceProviderConfigs", "Bearer " + bearer, 404, "UNSPECIFIED", "cy", "default", "SCIM 1.1"},
			{"/users", "Bearer " + bearer, 404, "UNSPECIFIED", "cy", "default", "letter case"},
			{"/Users/nobody", "Bearer " + bearer, 404, "UNSPECIFIED", "cy", "default", "not here"},
		} {
			id := fmt.Sprintf("case-%d", i)
			p.must(t, test.status, http.MethodGet, test.path, "", "Authorization", test.authorization, "X-Request-Id", id)
			e := exchanges(t, c, look, 1, &musterv1.ExchangeFilter{RequestId: id, UnknownTenant: true})[0]
			if e.GetCause().String() != "CAUSE_"+test.cause || e.GetCredential() != test.credential || e.GetTenant() != test.tenant || int(e.GetStatus()) != test.status ||
				!strings.Contains(e.GetHint(), test.hint) || e.GetDetail() == "" || e.GetDoor() != musterv1.Door_DOOR_REST || e.GetAddress() != "127.0.0.1" {
				t.Errorf("%s as %.12q: %v", test.path, test.authorization, e)
			}
		}
		// What concerns another tenant, its operators see.
		p.must(t, 403, http.MethodGet, "/Users", "", "Authorization", "Bearer "+asleep, "X-Request-Id", "asleep")
		exchanges(t, c, look, 0, &musterv1.ExchangeFilter{RequestId: "asleep", UnknownTenant: true})
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			got, err := c.ListExchanges(look, &musterv1.ListExchangesRequest{Tenant: "acme"})
			if err == nil && len(got.GetExchanges()) == 1 && got.GetExchanges()[0].GetCause() == musterv1.LoggedExchange_CAUSE_SUSPENDED {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("of the other tenant: %v, %v", got, err)
			}
		}
	})
}

// An exchange is read whole, without secrets; errors of every kind are there, and what
// was asked over gRPC.
func TestActivity_KeepsBodies(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		c, look, _ := p.observer(t)
		const password = "correct horse battery"
		ada := p.must(t, 201, http.MethodPost, "/Users", `{"userName":"ada","title":"Countess","password":"`+password+`"}`, "X-Request-Id", "made")["id"].(string)
		p.must(t, 409, http.MethodPost, "/Users", `{"userName":"ada"}`, "X-Request-Id", "taken")
		p.must(t, 400, http.MethodPut, "/Users/"+ada, `{"userName":"ada`, "X-Request-Id", "broken")
		p.must(t, 405, http.MethodDelete, "/Users", "", "X-Request-Id", "method")
		p.must(t, 415, http.MethodPost, "/Users", "x", "Content-Type", "text/plain", "X-Request-Id", "type")
		p.must(t, 200, http.MethodGet, "/Users?filter=userName+eq+%22ada%22&access_token="+token+"&x=y", "", "X-Request-Id", "query")
		users := musterv1.NewProvisioningServiceClient(p.dial(t))
		if _, err := users.GetUser(authorized(), &musterv1.GetUserRequest{Id: "nobody"}); status.Code(err) != codes.NotFound {
			t.Fatal(err)
		}
		all := exchanges(t, c, look, 7, &musterv1.ExchangeFilter{Credential: "bootstrap"})
		for i, want := range []string{"201 POST USERS " + ada, "409 POST USERS uniqueness", "400 PUT USERS " + ada + " invalidSyntax", "405 DELETE USERS", "415 POST USERS", "200 GET USERS",
			"404 muster.v1.ProvisioningService/GetUser USERS nobody notFound"} {
			e := all[i]
			got := strings.Join(strings.Fields(fmt.Sprint(e.GetStatus(), " ", e.GetMethod(), " ", strings.TrimPrefix(e.GetKind().String(), "KIND_"), " ", e.GetResourceId(), " ", e.GetReason())), " ")
			if got != want {
				t.Errorf("exchange %d is %q, want %q: %v", i, got, want, e)
			}
		}
		if path := all[5].GetPath(); path != "/scim/v2/Users?filter=userName+eq+%22ada%22&access_token=redacted&x=redacted" {
			t.Errorf("the path is %s", path)
		}
		whole, err := c.GetExchange(look, &musterv1.GetExchangeRequest{Id: all[0].GetId()})
		if err != nil {
			t.Fatal(err)
		}
		x := whole.GetExchange().GetExchange()
		if !strings.Contains(x.GetRequestBody(), "Countess") || !strings.Contains(x.GetAnswerBody(), ada) || !strings.Contains(x.GetRequestBody(), `"password":"redacted-`) ||
			x.GetAnswerHeader()["Location"] == "" || strings.Contains(whole.String(), password) || strings.Contains(whole.String(), token) {
			t.Errorf("the whole is %v", whole)
		}
		page, err := c.ListExchanges(look, &musterv1.ListExchangesRequest{PageSize: 3, Filter: &musterv1.ExchangeFilter{Credential: "bootstrap", Writes: true}})
		if err != nil || len(page.GetExchanges()) != 3 || page.GetExchanges()[0].GetId() != all[4].GetId() {
			t.Fatalf("the first page is %v, %v", page, err)
		}
		page, err = c.ListExchanges(look, &musterv1.ListExchangesRequest{PageSize: 3, Filter: &musterv1.ExchangeFilter{Credential: "bootstrap", Writes: true}, PageToken: page.GetNextPageToken()})
		if err != nil || len(page.GetExchanges()) != 2 || page.GetNextPageToken() != "" {
			t.Errorf("the last page is %v, %v", page, err)
		}
		for _, f := range []*musterv1.ExchangeFilter{
			{Errors: true, Kinds: []musterv1.LoggedExchange_Kind{musterv1.LoggedExchange_KIND_USERS}, PathPrefix: "/scim/v2/Users/"},
			{ResourceId: ada, Status: 400}, {Method: "GetUser"}, {Method: "muster.v1.ProvisioningService/GetUser", Address: "127.0.0.1"},
		} {
			exchanges(t, c, look, 1, f)
		}
	})
}

// Who follows exchanges gets each one, from every server of the database, in the order
// in which they are listed, and is cut off when the credential goes.
func TestActivity_Watch(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, database string) {
		servers := []*program{start(t, database)}
		if strings.HasPrefix(database, "postgres") {
			servers = append(servers, serve(t, database))
		}
		c, look, _ := servers[0].observer(t)
		ctx, cancel := context.WithTimeout(look, time.Minute)
		defer cancel()
		stream, err := c.WatchExchanges(ctx, &musterv1.WatchExchangesRequest{Filter: &musterv1.ExchangeFilter{UnknownTenant: true, PathPrefix: "/scim/v2/"}})
		if err != nil {
			t.Fatal(err)
		}
		if first, err := stream.Recv(); err != nil || first.GetExchange() != nil {
			t.Fatalf("it begins with %v, %v", first, err)
		}
		const each = 40
		for i := range each {
			for n, p := range servers {
				p.must(t, 404, http.MethodGet, fmt.Sprintf("/Users/%d-%d", n, i), "")
			}
		}
		servers[0].must(t, 401, http.MethodGet, "/Groups", "", "Authorization", "Bearer wrong")
		last, seen := "", map[string]bool{}
		for len(seen) < each*len(servers)+1 {
			m, err := stream.Recv()
			if err != nil {
				t.Fatalf("after %d: %v", len(seen), err)
			}
			if e := m.GetExchange(); e != nil {
				if seen[e.GetPath()] || len(e.GetId()) < len(last) || len(e.GetId()) == len(last) && e.GetId() <= last || e.GetLeftOut() != 0 {
					t.Errorf("%v comes after %s", e, last)
				}
				last, seen[e.GetPath()] = e.GetId(), true
			}
		}
		servers[0].runs(t, "credential", "revoke", "observer")
		for err == nil {
			_, err = stream.Recv()
		}
		if status.Code(err) != codes.Unauthenticated {
			t.Errorf("after the credential was revoked: %v", err)
		}
	})
}

// Each request counts, on every server, whatever came of it.
func TestTraffic_CountsEach(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, database string) {
		servers := []*program{start(t, database)}
		if strings.HasPrefix(database, "postgres") {
			servers = append(servers, serve(t, database))
		}
		client := servers[0].secret(t, "create", "counted", "--scope", "scim")
		for _, p := range servers {
			for i := range 30 {
				p.must(t, 200, http.MethodGet, "/Users?count=1", "", "Authorization", "Bearer "+client)
				if i%3 == 0 {
					p.must(t, 404, http.MethodGet, "/Users/nobody", "", "Authorization", "Bearer "+client)
				}
			}
			p.must(t, 401, http.MethodGet, "/Users", "", "Authorization", "Bearer wrong")
			if _, err := musterv1.NewProvisioningServiceClient(p.dial(t)).ListUsers(bearing(client), &musterv1.ListUsersRequest{}); err != nil {
				t.Fatal(err)
			}
		}
		n := int64(len(servers))
		c, look, _ := servers[0].observer(t)
		var rest, grpc, strangers *musterv1.TrafficSeries
		for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(200 * time.Millisecond) { // what the other server has counted comes within seconds
			got, err := c.GetTraffic(look, &musterv1.GetTrafficRequest{UnknownTenant: true, Step: durationpb.New(5 * time.Minute)})
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range got.GetSeries() {
				switch {
				case s.GetCredential() == "counted" && s.GetDoor() == musterv1.Door_DOOR_REST:
					rest = s
				case s.GetCredential() == "counted":
					grpc = s
				case s.GetCredential() == "":
					strangers = s
				}
			}
			if rest.GetSum().GetRequests() == 40*n && grpc.GetSum().GetRequests() == n && strangers.GetSum().GetRequests() == n || time.Now().After(deadline) {
				break
			}
		}
		sum, latencies := rest.GetSum(), int64(0)
		for _, l := range sum.GetLatencies() {
			latencies += l
		}
		if sum.GetRequests() != 40*n || sum.GetClientErrors() != 10*n || sum.GetUnauthenticated() != 0 || latencies != 40*n || sum.GetServerErrors() != 0 || grpc.GetSum().GetRequests() != n ||
			strangers.GetSum().GetUnauthenticated() != n {
			t.Errorf("counted are %v, %v and %v", rest, grpc, strangers)
		}
		if p50, p99 := sum.GetP50().AsDuration(), sum.GetP99().AsDuration(); p50 <= 0 || p99 < p50 || p99 > 10*time.Second {
			t.Errorf("half take %s, nearly all %s", p50, p99)
		}
		total, err := c.GetTraffic(look, &musterv1.GetTrafficRequest{UnknownTenant: true, Total: true})
		if err != nil || len(total.GetSeries()) != 1 || total.GetSeries()[0].GetSum().GetRequests() < 42*n {
			t.Errorf("in total there are %v, %v", total, err)
		}
	})
}

// Stale groups are told of, and deleted as any other group: with changes and events.
func TestStaleGroups_AreDeletedAsOthers(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		c, look, change := p.observer(t)
		var ids []string
		for i := range 4 {
			id := p.must(t, 201, http.MethodPost, "/Groups", fmt.Sprintf(`{"displayName":"G%d"}`, i))["id"].(string)
			execute(t, p.database, "UPDATE resources SET updated_at = $1 WHERE id = $2", time.Now().AddDate(0, 0, -40).UnixMilli()+int64(i), id)
			ids = append(ids, id)
		}
		// A push that changes nothing keeps a group from being stale.
		p.must(t, 204, http.MethodPatch, "/Groups/"+ids[3], `{"Operations":[{"op":"replace","path":"displayName","value":"G3"}]}`)
		if got, err := c.ListStaleGroups(look, &musterv1.ListStaleGroupsRequest{}); err != nil || got.GetTotal() != 3 || got.GetGroups()[0].GetId() != ids[0] {
			t.Fatalf("stale are %v, %v", got, err)
		}
		dry, err := c.DeleteStaleGroups(change, &musterv1.DeleteStaleGroupsRequest{Days: 30, DryRun: true, Max: 2})
		if err != nil || len(dry.GetGroups()) != 2 || dry.GetLeft() != 1 {
			t.Fatalf("without effect: %v, %v", dry, err)
		}
		p.must(t, 200, http.MethodGet, "/Groups/"+ids[0], "")
		if _, err := c.DeleteStaleGroups(look, &musterv1.DeleteStaleGroupsRequest{Days: 30}); status.Code(err) != codes.PermissionDenied {
			t.Errorf("who may only look deletes: %v", err)
		}
		if _, err := c.DeleteStaleGroups(change, &musterv1.DeleteStaleGroupsRequest{}); status.Code(err) != codes.InvalidArgument {
			t.Errorf("without days: %v", err)
		}
		done, err := c.DeleteStaleGroups(change, &musterv1.DeleteStaleGroupsRequest{Days: 30, Ids: []string{ids[0], ids[2], ids[3], "nobody"}})
		if err != nil || len(done.GetGroups()) != 2 || done.GetLeft() != 1 {
			t.Fatalf("deleted are %v, %v", done, err)
		}
		for i, want := range []int{404, 200, 404, 200} {
			p.must(t, want, http.MethodGet, "/Groups/"+ids[i], "")
		}
		changes, err := musterv1.NewChangeServiceClient(p.dial(t)).ListChanges(authorized(), &musterv1.ListChangesRequest{})
		if err != nil {
			t.Fatal(err)
		}
		deleted := 0
		for _, change := range changes.GetChanges() {
			if change.GetOperation() == musterv1.Change_OPERATION_DELETE {
				deleted++
			}
		}
		events := p.runs(t, "audit", "list", "--method", "DeleteStaleGroups", "--type", "Group", "--json")
		if deleted != 2 || strings.Count(events, `"outcome":"ok"`) != 2 || !strings.Contains(events, ids[0]) || !strings.Contains(events, `"credential":"changer"`) {
			t.Errorf("%d changes, and the events %s", deleted, events)
		}
	})
}

// Who follows the changes is known on every server, with how far it has come, until it
// is gone.
func TestWatchers_OnEveryServer(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, database string) {
		p := start(t, database)
		other := p
		if strings.HasPrefix(database, "postgres") {
			other = serve(t, database)
		}
		c, look, _ := other.observer(t)
		ctx, cancel := context.WithCancel(authorized())
		stream, err := musterv1.NewChangeServiceClient(p.dial(t)).WatchChanges(ctx, &musterv1.WatchChangesRequest{Snapshot: true})
		if err != nil {
			t.Fatal(err)
		}
		p.must(t, 201, http.MethodPost, "/Users", `{"userName":"seen"}`)
		go func() {
			for {
				if _, err := stream.Recv(); err != nil {
					return
				}
			}
		}()
		wait := func(what string, fits func(*musterv1.ListWatchersResponse) bool) {
			t.Helper()
			for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
				got, err := c.ListWatchers(look, &musterv1.ListWatchersRequest{})
				if err == nil && fits(got) {
					return
				}
				if time.Now().After(deadline) {
					t.Fatalf("%s: %v, %v", what, got, err)
				}
			}
		}
		wait("it follows", func(got *musterv1.ListWatchersResponse) bool {
			w := got.GetWatchers()
			return len(w) == 1 && w[0].GetCredential() == "bootstrap" && w[0].GetPosition() > 0 && w[0].GetLag() == 0 && !w[0].GetSnapshot() && w[0].GetServer() != ""
		})
		cancel()
		wait("it is gone", func(got *musterv1.ListWatchersResponse) bool { return len(got.GetWatchers()) == 0 })
	})
}

// Each attribute is counted once for each resource that has it.
func TestAttributeUse(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		c, look, _ := p.observer(t)
		user := p.must(t, 201, http.MethodPost, "/Users", `{"userName":"a","title":"t","password":"correct horse","emails":[{"value":"a@x.test","type":"work"},{"value":"b@x.test","type":"home"}],
			"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"d"}}`)["id"].(string)
		p.must(t, 201, http.MethodPost, "/Users", `{"userName":"b","name":{"givenName":"B"}}`)
		p.must(t, 201, http.MethodPost, "/Groups", `{"displayName":"g","members":[{"value":"`+user+`"}]}`)
		p.must(t, 201, http.MethodPost, "/Groups", `{"displayName":"h"}`)
		for rt, want := range map[string]map[string]int64{
			"User": {"userName": 2, "title": 1, "password": 1, "emails": 1, "emails.value": 1, "name": 1, "name.givenName": 1, "name.familyName": 0, "nickName": 0, "groups": 1,
				"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department": 1, "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:division": 0},
			"Group": {"displayName": 2, "members": 1},
		} {
			got, err := c.ListAttributeUse(look, &musterv1.ListAttributeUseRequest{ResourceType: rt})
			if err != nil || !got.GetExact() || got.GetCounted() != 2 || got.GetResources() != 2 {
				t.Fatalf("%s: %v, %v", rt, got, err)
			}
			found := map[string]int64{}
			for _, a := range got.GetAttributes() {
				found[a.GetPath()] = a.GetResources()
			}
			for path, n := range want {
				if has, ok := found[path]; !ok || has != n {
					t.Errorf("%s of %s: %d, %v, want %d", path, rt, has, ok, n)
				}
			}
		}
	})
}

// Requests for access tokens are exchanges too: whose they are where the client has proved
// who it is, and of no known tenant, with a hint, where it has not. No secret is in them.
func TestActivity_AccessTokens(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		c, look, _ := p.observer(t)
		made := p.runs(t, "credential", "create", "cyoauth", "--kind", "oauth", "--scope", "scim")
		id, secret := clientText.FindString(made), secretText.FindString(made)
		if got := p.asksToken(t, id, secret); got.status != http.StatusOK {
			t.Fatalf("%d %s", got.status, got.body)
		}
		if got := p.asksToken(t, id, secret+"x"); got.status != http.StatusUnauthorized {
			t.Fatalf("%d %s", got.status, got.body)
		}
		all := exchanges(t, c, look, 2, &musterv1.ExchangeFilter{Kinds: []musterv1.LoggedExchange_Kind{musterv1.LoggedExchange_KIND_OAUTH}, UnknownTenant: true})
		if e := all[0]; e.GetCredential() != "cyoauth" || e.GetTenant() != "default" || e.GetStatus() != http.StatusOK || e.GetPath() != "/oauth2/token" || e.GetHint() != "" {
			t.Errorf("a token that was issued: %v", e)
		}
		if e := all[1]; e.GetTenant() != "-" || e.GetStatus() != http.StatusUnauthorized || e.GetCause() != musterv1.LoggedExchange_CAUSE_UNKNOWN_SECRET || e.GetHint() == "" {
			t.Errorf("a wrong secret: %v", e)
		}
		for _, e := range all {
			if strings.Contains(e.String(), secret) || e.GetHasBodies() {
				t.Errorf("it keeps what was sent: %v", e)
			}
		}
	})
}

// asksToken asks for an access token with the secret of a client.
func (p *program) asksToken(t *testing.T, id, secret string) reply {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}}
	return p.rest(t, http.MethodPost, strings.TrimSuffix(p.base, "/scim/v2")+"/oauth2/token", form.Encode(), "Content-Type", "application/x-www-form-urlencoded", "Authorization", "")
}

// Who failed too often of late shows up with that cause, as anybody else who is refused.
func TestActivity_TellsOfTheThrottled(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, database string) {
		p := start(t, database, "--failed-logins", "2")
		c, look, _ := p.observer(t)
		for _, status := range []int{401, 429, 429} {
			p.must(t, status, http.MethodGet, "/Users", "", "Authorization", "Bearer nothing-of-ours", "X-Request-Id", fmt.Sprint("answered-", status))
		}
		exchanges(t, c, look, 1, &musterv1.ExchangeFilter{RequestId: "answered-401", UnknownTenant: true})
		for _, e := range exchanges(t, c, look, 2, &musterv1.ExchangeFilter{RequestId: "answered-429", UnknownTenant: true}) {
			if e.GetCause() != musterv1.LoggedExchange_CAUSE_THROTTLED || e.GetStatus() != 429 {
				t.Errorf("%v", e)
			}
		}
	})
}
