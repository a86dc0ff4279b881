package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// doBulk makes a bulk call and returns the statuses and reasons.
func doBulk(ctx context.Context, s *Server, ops ...*musterv1.BulkOperation) (string, error) {
	out, err := musterv1.NewProvisioningServiceClient(s.Conn()).Bulk(ctx, &musterv1.BulkRequest{Operations: ops})
	var words []string
	for _, op := range out.GetOperations() {
		words = append(words, strings.TrimSuffix(op.GetStatus()+" "+op.GetError().GetReason(), " "))
	}
	return strings.Join(words, ", "), err
}

// creating is an operation that creates a user or group.
func creating(endpoint, data string) *musterv1.BulkOperation {
	return &musterv1.BulkOperation{Method: musterv1.BulkOperation_METHOD_POST, Path: endpoint, BulkId: data, Data: data}
}

// Bulk allows nothing that the single method refuses.
func TestBulk_PolicyOfEachOperation(t *testing.T) {
	s, ctx := newServer(t)
	user, group := creating("/Users", `{"userName":"u"}`), creating("/Groups", `{"displayName":"g"}`)
	for method, ops := range map[string][]*musterv1.BulkOperation{
		musterv1.ProvisioningService_CreateUser_FullMethodName:   {user},
		musterv1.ProvisioningService_CreateGroup_FullMethodName:  {group},
		musterv1.ProvisioningService_ReplaceUser_FullMethodName:  {{Method: musterv1.BulkOperation_METHOD_PUT, Path: "/Users/x", Data: user.GetData()}},
		musterv1.ProvisioningService_ReplaceGroup_FullMethodName: {{Method: musterv1.BulkOperation_METHOD_PUT, Path: "/Groups/x", Data: group.GetData()}},
		musterv1.ProvisioningService_PatchUser_FullMethodName:    {{Method: musterv1.BulkOperation_METHOD_PATCH, Path: "/Users/x", Data: `{}`}},
		musterv1.ProvisioningService_PatchGroup_FullMethodName:   {{Method: musterv1.BulkOperation_METHOD_PATCH, Path: "/Groups/x", Data: `{}`}},
		musterv1.ProvisioningService_DeleteUser_FullMethodName:   {{Method: musterv1.BulkOperation_METHOD_DELETE, Path: "/Users/x"}},
		musterv1.ProvisioningService_DeleteGroup_FullMethodName:  {{Method: musterv1.BulkOperation_METHOD_DELETE, Path: "/Groups/x"}},
	} {
		access := policy[method]
		delete(policy, method)
		got, err := doBulk(ctx, s, ops...)
		policy[method] = access
		if got != "403 forbidden" || err != nil {
			t.Errorf("without %s: %s, %v", method, got, err)
		}
	}
	delete(policy, musterv1.ProvisioningService_Bulk_FullMethodName)
	defer func() { policy[musterv1.ProvisioningService_Bulk_FullMethodName] = access{write, ""} }()
	if _, err := doBulk(ctx, s, user); status.Code(err) != codes.PermissionDenied {
		t.Errorf("without a row of its own: %v", err)
	}
}

func TestBulk_PasswordIsHashedAndCompared(t *testing.T) {
	s, ctx := newServer(t)
	if got, err := doBulk(ctx, s, creating("/Users", `{"userName":"ada","password":"first"}`)); got != "201" || err != nil {
		t.Fatal(got, err)
	}
	c := musterv1.NewProvisioningServiceClient(s.Conn())
	list, err := c.ListUsers(ctx, &musterv1.ListUsersRequest{})
	if err != nil {
		t.Fatal(err)
	}
	id := list.GetUsers()[0].GetId()
	for _, step := range []struct{ password, version string }{{"first", `W/"1"`}, {"second", `W/"2"`}, {"second", `W/"2"`}} {
		data := fmt.Sprintf(`{"Operations":[{"op":"replace","path":"password","value":%q}]}`, step.password)
		out, err := c.Bulk(ctx, &musterv1.BulkRequest{Operations: []*musterv1.BulkOperation{{Method: musterv1.BulkOperation_METHOD_PATCH, Path: "/Users/" + id, Data: data}}})
		if err != nil || out.GetOperations()[0].GetVersion() != step.version {
			t.Errorf("password %q: %v, %v, want %s", step.password, out, err, step.version)
		}
	}
	if got, err := doBulk(ctx, s, creating("/Users", `{"userName":"bob","password":"`+strings.Repeat("x", maxPassword+1)+`"}`)); got != "400 invalidValue" || err != nil {
		t.Errorf("a password too long: %s, %v", got, err)
	}
}

// A client that is gone gets nothing more done.
func TestBulk_Cancelled(t *testing.T) {
	s, ctx := newServer(t)
	past, cancel := context.WithDeadline(ctx, time.Now().Add(-time.Second))
	defer cancel()
	if got, err := doBulk(past, s, creating("/Users", `{"userName":"ada"}`)); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("past its deadline: %s, %v", got, err)
	}
	if got, err := doBulk(ctx, s, creating("/Users", `{"userName":"ada"}`)); got != "201" || err != nil {
		t.Errorf("afterwards: %s, %v", got, err)
	}
}

// A failure that is not about the request is told of the operation without its
// cause, which is in the log.
func TestExplain(t *testing.T) {
	for _, c := range []struct {
		err    error
		reason scim.Reason
	}{
		{fmt.Errorf("wrapped: %w", scim.Errorf(scim.NotFound, "x")), scim.NotFound},
		{errors.New("secret of the database"), scim.Internal},
		{fmt.Errorf("secret: %w", context.DeadlineExceeded), scim.Unavailable},
	} {
		if e := explain(c.err); e.Reason != c.reason || strings.Contains(e.Detail, "secret") {
			t.Errorf("%v became %v", c.err, e)
		}
	}
}

// Bulk requests of one tenant leave room for another's, wait for a while, and are
// then sent away.
func TestBulk_Turns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newBulkTurns()
		for range bulksOfOne {
			if _, err := turns.Take(t.Context(), 1, bulksOfOne, maxBulkWait); err != nil {
				t.Fatal(err)
			}
		}
		begin := time.Now()
		if _, err := turns.Take(t.Context(), 1, bulksOfOne, maxBulkWait); scim.ReasonOf(err) != scim.RateLimited || time.Since(begin) != maxBulkWait {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
		begin = time.Now()
		if _, err := turns.Take(t.Context(), 2, bulksOfOne, maxBulkWait); err != nil || time.Since(begin) != 0 {
			t.Errorf("another tenant, after %v: %v", time.Since(begin), err)
		}
	})
}

// A client that is sent away learns when to come again.
func TestBulk_Busy(t *testing.T) {
	s, ctx := newServer(t)
	s.provisioning.bulks = store.NewTurns(0, 0)
	var header metadata.MD
	_, err := musterv1.NewProvisioningServiceClient(s.Conn()).Bulk(ctx, &musterv1.BulkRequest{}, grpc.Header(&header))
	if reasonOf(err) != "rateLimited" || header.Get("retry-after")[0] != "30" || retryDelay(err) != maxBulkWait {
		t.Errorf("got %v with %v", err, header)
	}
}

// Resources of registered types are in bulk what they are alone: also in a circle
// with those of the contract, through a reference and through an extension.
func TestBulk_RegisteredTypes(t *testing.T) {
	s, ctx := newServer(t)
	p, err := s.store.Authenticate(ctx, sha256.Sum256([]byte(token)))
	if err != nil {
		t.Fatal(err)
	}
	const device, badge = "urn:example:Device", "urn:example:Badge"
	value := &musterv1.Attribute{Name: "value", Type: scim.String, CaseExact: true}
	ref := &musterv1.Attribute{Name: "$ref", Type: scim.Reference, ReferenceTypes: []string{"Device"}, Mutability: musterv1.Attribute_MUTABILITY_READ_ONLY}
	err = p.Tenant.Register(ctx, false, []*musterv1.Schema{
		{Id: device, Name: "Device", Attributes: []*musterv1.Attribute{
			{Name: "label", Type: scim.String}, {Name: "owner", Type: scim.Reference, ReferenceTypes: []string{"User"}},
		}},
		{Id: badge, Name: "Badge", Attributes: []*musterv1.Attribute{
			{Name: "printer", Type: scim.Complex, SubAttributes: []*musterv1.Attribute{value, ref}},
		}},
	}, []*musterv1.ResourceType{
		{Name: "Device", Endpoint: "/Devices", Schema: device},
		{Name: "User", SchemaExtensions: []*musterv1.SchemaExtension{{Schema: badge}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	c := musterv1.NewProvisioningServiceClient(s.Conn())
	out, err := c.Bulk(ctx, &musterv1.BulkRequest{Operations: []*musterv1.BulkOperation{
		{Method: musterv1.BulkOperation_METHOD_POST, Path: "/Devices", BulkId: "d", Data: `{"label":"bulkId:u","owner":"bulkId:u"}`},
		{Method: musterv1.BulkOperation_METHOD_POST, Path: "/Users", BulkId: "u", Data: `{"userName":"ada","` + badge + `":{"printer":{"value":"bulkId:d"}}}`},
		{Method: musterv1.BulkOperation_METHOD_PATCH, Path: "/Devices/bulkId:d", Version: `W/"1"`, Data: `{"Operations":[{"op":"replace","path":"label","value":"new"}]}`},
		{Method: musterv1.BulkOperation_METHOD_PUT, Path: "/Devices/bulkId:d", Data: `{"label":"newer","owner":"bulkId:u"}`},
		{Method: musterv1.BulkOperation_METHOD_POST, Path: "/Devices", BulkId: "e", Data: `{"owner":"bulkId:d"}`}, // is of no user
	}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, op := range out.GetOperations() {
		got = append(got, op.GetStatus())
	}
	if strings.Join(got, " ") != "201 201 200 200 400" {
		t.Fatalf("got %v", out)
	}
	id := strings.TrimPrefix(out.GetOperations()[0].GetLocation(), "/Devices/")
	user := strings.TrimPrefix(out.GetOperations()[1].GetLocation(), "/Users/")
	d, err := musterv1.NewResourceServiceClient(s.Conn()).GetResource(ctx, &musterv1.GetResourceRequest{ResourceType: "Device", Id: id})
	if err != nil {
		t.Fatal(err)
	}
	if attrs := d.GetResource().GetAttributes().AsMap(); attrs["owner"] != user || attrs["label"] != "newer" || out.GetOperations()[3].GetVersion() != `W/"3"` {
		t.Errorf("the device is %v, want the owner %s", d, user)
	}
	u, err := c.GetUser(ctx, &musterv1.GetUserRequest{Id: user})
	if err != nil {
		t.Fatal(err)
	}
	if printer, _ := u.GetUser().GetExtensions()[badge].AsMap()["printer"].(map[string]any); printer["value"] != id {
		t.Errorf("the user is %v, want the printer %s", u, id)
	}
	access := policy[musterv1.ResourceService_DeleteResource_FullMethodName]
	delete(policy, musterv1.ResourceService_DeleteResource_FullMethodName)
	remove := &musterv1.BulkOperation{Method: musterv1.BulkOperation_METHOD_DELETE, Path: "/Devices/" + id}
	if got, err := doBulk(ctx, s, remove); got != "403 forbidden" || err != nil {
		t.Errorf("without a row for DeleteResource: %s, %v", got, err)
	}
	policy[musterv1.ResourceService_DeleteResource_FullMethodName] = access
	remove = &musterv1.BulkOperation{Method: musterv1.BulkOperation_METHOD_DELETE, Path: "/Devices/" + id}
	if got, err := doBulk(ctx, s, remove); got != "204" || err != nil {
		t.Errorf("deleting: %s, %v", got, err)
	}
}
