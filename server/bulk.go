package server

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// Few bulk requests are worked on at once, so that they leave room for others and
// what they hold in memory stays bounded. Some more wait for their turn, but not so
// long that their clients give up while they are under way.
const (
	bulksAtOnce = 4
	bulksOfOne  = 3  // of one tenant
	maxBulks    = 32 // with those that wait
	maxBulkWait = 30 * time.Second
)

func newBulkTurns() *store.Turns { return store.NewTurns(bulksAtOnce, maxBulks-bulksAtOnce) }

// Bulk does the operations of a bulk request (RFC 7644 section 3.7). Each is read
// twice: first for what it refers to, which decides their order, and again when its
// turn comes. So no more than one at a time is more than text.
func (s *provisioning) Bulk(ctx context.Context, req *musterv1.BulkRequest) (*musterv1.BulkResponse, error) {
	if err := checkBulk(tenantOf(ctx).Catalog().Limits(), req); err != nil {
		return nil, err
	}
	done, err := s.bulks.Take(ctx, tenantOf(ctx).ID(), bulksOfOne, maxBulkWait)
	if scim.ReasonOf(err) == scim.RateLimited {
		err = scim.Errorf(scim.RateLimited, "too many bulk requests at once; try again later").After(maxBulkWait)
	}
	if err != nil {
		return nil, err
	}
	defer done()
	b := newBulk(ctx, s, req.GetOperations())
	for _, circle := range scim.OrderBulk(b.nodes()) {
		b.do(ctx, circle)
		if err := ctx.Err(); err != nil {
			return nil, err // nobody waits for the rest
		}
		if limit := int(req.GetFailOnErrors()); limit > 0 && b.failures >= limit {
			break
		}
	}
	return b.response(), nil
}

// checkBulk checks the limits of a request.
func checkBulk(limits scim.Limits, req *musterv1.BulkRequest) error {
	if err := limits.CheckBulk(len(req.GetOperations()), proto.Size(req)); err != nil {
		return err
	}
	if req.GetFailOnErrors() < 0 {
		return scim.Errorf(scim.InvalidValue, "failOnErrors is less than 0").At("fail_on_errors")
	}
	return nil
}

// A bulk is a bulk request under way.
type bulk struct {
	service  *provisioning
	steps    []*step
	creators map[string]*step // by bulkId
	failures int
}

// A step is one operation of a bulk.
type step struct {
	op *musterv1.BulkOperation
	// rt and id are what the path names; the id may be a bulkId.
	rt *scim.ResourceType
	id string
	// refersTo are the bulkIds in path and data.
	refersTo []string
	// made is the id of what it creates, while that is there or may still be.
	made string
	// err is why it fails.
	err error
	// result is nil until it is done.
	result *musterv1.BulkOperationResult
}

func newBulk(ctx context.Context, s *provisioning, ops []*musterv1.BulkOperation) *bulk {
	b := &bulk{service: s, steps: make([]*step, len(ops)), creators: make(map[string]*step)}
	for i, op := range ops {
		st := &step{op: op}
		st.err = st.read(ctx)
		b.steps[i] = st
		if op.GetMethod() != musterv1.BulkOperation_METHOD_POST || op.GetBulkId() == "" {
			continue
		}
		first := b.creators[op.GetBulkId()]
		if first == nil {
			b.creators[op.GetBulkId()] = st
			continue
		}
		st.err = scim.Errorf(scim.InvalidSyntax, "more than one POST has the bulkId %.80q", op.GetBulkId())
		first.err = st.err // which of them is meant by others, nobody knows
	}
	return b
}

// read finds what the operation is about and what it refers to. It finds all that
// is wrong with it by itself.
func (st *step) read(ctx context.Context) error {
	verb := bulkVerbs[st.op.GetMethod()]
	if verb.word == "" {
		return scim.Errorf(scim.InvalidSyntax, "the method is POST, PUT, PATCH or DELETE")
	}
	endpoint, id, err := scim.SplitBulkPath(st.op.GetPath())
	if err != nil {
		return err
	}
	if st.rt, st.id = tenantOf(ctx).Catalog().ResourceTypeAt(endpoint), id; st.rt == nil {
		return scim.Errorf(scim.NotFound, "there is no resource type at %.80q", endpoint)
	}
	if err := callOf(ctx).permit(bulkRPC(verb.rpc, st.rt), st.rt.Name); err != nil {
		return err
	}
	post := st.op.GetMethod() == musterv1.BulkOperation_METHOD_POST
	switch {
	case post && id != "":
		return scim.Errorf(scim.InvalidSyntax, "the path of a POST is the endpoint of a resource type, as %s", st.rt.Endpoint)
	case !post && id == "":
		return scim.Errorf(scim.InvalidSyntax, "the path of a %s is that of one resource, as %s/ID", verb.word, st.rt.Endpoint)
	case post && st.op.GetBulkId() == "":
		return scim.Errorf(scim.InvalidSyntax, "a POST needs a bulkId")
	case verb.hasData && st.op.GetData() == "":
		return scim.Errorf(scim.InvalidSyntax, "a %s needs data", verb.word)
	}
	note := func(id string) (string, *scim.Error) {
		if bulkID, ok := scim.BulkID(id); ok {
			st.refersTo = append(st.refersTo, bulkID)
		}
		return id, nil
	}
	_, _ = note(id)
	switch {
	case post:
		_, err = st.resource(note)
	case verb.hasData:
		_, err = st.change(note)
	}
	return err
}

// bulkVerbs are the methods: the RPC each stands for, less the name of the resource
// type, and the status of its success (RFC 7644 section 3.7.3).
var bulkVerbs = map[musterv1.BulkOperation_Method]struct {
	word, rpc, status string
	hasData           bool
}{
	musterv1.BulkOperation_METHOD_POST:   {"POST", "Create", "201", true},
	musterv1.BulkOperation_METHOD_PUT:    {"PUT", "Replace", "200", true},
	musterv1.BulkOperation_METHOD_PATCH:  {"PATCH", "Patch", "200", true},
	musterv1.BulkOperation_METHOD_DELETE: {"DELETE", "Delete", "204", false},
}

// bulkRPC is the method of which an operation is a call: the caller must be allowed
// to make it.
func bulkRPC(verb string, rt *scim.ResourceType) string {
	if rt.Registered() {
		return "/" + musterv1.ResourceService_ServiceDesc.ServiceName + "/" + verb + "Resource"
	}
	return "/" + musterv1.ProvisioningService_ServiceDesc.ServiceName + "/" + verb + rt.Name
}

// resource decodes the data of a POST, with its references as f makes them.
func (st *step) resource(f scim.Referrer) (scim.Resource, error) {
	r, err := st.rt.DecodeJSON([]byte(st.op.GetData()))
	if err != nil {
		return nil, err
	}
	return r, st.rt.References(r, f)
}

// change compiles the data of a PUT or PATCH, with its references as f makes them.
func (st *step) change(f scim.Referrer) (c scim.Change, err error) {
	data := []byte(st.op.GetData())
	if st.op.GetMethod() == musterv1.BulkOperation_METHOD_PUT {
		var r scim.Resource
		if r, err = st.rt.DecodeJSON(data); err == nil {
			c, err = st.rt.CompileReplace(r)
		}
	} else {
		var ops []*musterv1.PatchOperation
		if ops, err = scim.DecodePatch(data); err == nil {
			c, err = st.rt.CompilePatch(ops)
		}
	}
	if err != nil {
		return nil, err
	}
	return c, c.References(f)
}

// nodes are the steps as the order sees them.
func (b *bulk) nodes() []scim.BulkNode {
	nodes := make([]scim.BulkNode, len(b.steps))
	for i, st := range b.steps {
		if st.err == nil {
			nodes[i].RefersTo = st.refersTo
		}
		if b.creators[st.op.GetBulkId()] == st {
			nodes[i].Creates = st.op.GetBulkId()
		}
	}
	return nodes
}

// do does one step, or creates what refers to each other in a circle.
func (b *bulk) do(ctx context.Context, circle []int) {
	steps := make([]*step, len(circle))
	for i, at := range circle {
		steps[i] = b.steps[at]
		steps[i].result = &musterv1.BulkOperationResult{Method: steps[i].op.GetMethod(), BulkId: steps[i].op.GetBulkId()}
	}
	callOf(ctx).begin(steps[0].method())
	switch first := steps[0]; {
	case first.err != nil:
		if first.op.GetMethod() != musterv1.BulkOperation_METHOD_POST {
			first.result.Location = first.op.GetPath()
		}
	case first.op.GetMethod() == musterv1.BulkOperation_METHOD_POST:
		b.create(ctx, steps)
	default:
		first.err = b.update(ctx, first)
	}
	for _, st := range steps {
		b.finish(ctx, st)
	}
}

// finish writes down how a step ended, and lets go what it was about.
func (b *bulk) finish(ctx context.Context, st *step) {
	st.result.Status = bulkVerbs[st.op.GetMethod()].status
	if st.err != nil {
		b.failures++
		callOf(ctx).logCause(ctx, b.service.log, st.err)
		e := explain(st.err)
		st.result.Status = strconv.Itoa(e.Reason.Status())
		st.result.Error = &musterv1.BulkError{Reason: e.Reason.String(), Detail: e.Detail, Attribute: e.Attribute}
	}
	st.op.Data = ""
	b.note(ctx, st)
}

// note records a step in the audit log.
func (b *bulk) note(ctx context.Context, st *step) {
	c := callOf(ctx)
	c.act.Method = strings.TrimPrefix(st.method(), "/")
	c.act.ResourceType, c.act.ResourceID = "", st.id
	if st.rt != nil {
		c.act.ResourceType = st.rt.Name
	}
	if meant, unknown := b.meant(st.id); unknown == nil {
		c.act.ResourceID = meant
	}
	b.service.audit.note(ctx, c, st.err)
}

// method is the RPC that the step is a call of; where it names none, that of the bulk.
func (st *step) method() string {
	verb := bulkVerbs[st.op.GetMethod()]
	if st.rt == nil || verb.rpc == "" {
		return musterv1.ProvisioningService_Bulk_FullMethodName
	}
	return bulkRPC(verb.rpc, st.rt)
}

// meant is the id that an id in path or data stands for.
func (b *bulk) meant(id string) (string, *scim.Error) {
	bulkID, ok := scim.BulkID(id)
	if !ok {
		return id, nil
	}
	switch creator := b.creators[bulkID]; {
	case creator == nil:
		return "", scim.Errorf(scim.InvalidValue, "no POST of this request has the bulkId %.80q", bulkID)
	case creator.made == "":
		return "", scim.Errorf(scim.Conflict, "the resource with the bulkId %.80q was not created", bulkID)
	default:
		return creator.made, nil
	}
}

// create creates one resource, or several that refer to each other in a circle and
// are created all or not at all (RFC 7644 section 3.7.1). For that they have their
// ids beforehand.
func (b *bulk) create(ctx context.Context, steps []*step) {
	whole := true
	for _, st := range steps {
		st.made, st.err = store.NewID()
		whole = whole && st.err == nil
	}
	all := make([]*store.New, len(steps))
	for i, st := range steps {
		if whole {
			all[i] = &store.New{Type: st.rt, ID: st.made, Method: strings.TrimPrefix(st.method(), "/")}
			all[i].Resource, st.err = b.prepare(ctx, st)
		}
	}
	failed := func(st *step) bool { return st.err != nil }
	if !slices.ContainsFunc(steps, failed) {
		if i, err := tenantOf(ctx).CreateTogether(ctx, all); err != nil {
			steps[i].err = err
		}
	}
	cause := slices.IndexFunc(steps, failed)
	for i, st := range steps {
		switch {
		case cause < 0:
			st.result.Location = st.rt.Location(st.made)
			st.result.Version = all[i].Resource.GetMeta().GetVersion()
			continue
		case st.err == nil:
			st.err = scim.Errorf(scim.Conflict, "it refers in a circle to the resource with the bulkId %.80q, which could not be created", steps[cause].op.GetBulkId())
		}
		st.made = ""
	}
}

// prepare makes the resource of a POST fit to be created.
func (b *bulk) prepare(ctx context.Context, st *step) (scim.Resource, error) {
	r, err := st.resource(b.meant)
	if err != nil {
		return nil, err
	}
	return r, b.service.passwords.prepare(ctx, st.rt, r)
}

// update does a PUT, PATCH or DELETE.
func (b *bulk) update(ctx context.Context, st *step) error {
	st.result.Location = st.rt.Location(st.id)
	id, unknown := b.meant(st.id)
	if unknown != nil {
		return unknown
	}
	st.result.Location = st.rt.Location(id)
	req := bulkTarget{id: id, ifMatch: st.op.GetVersion()}
	if st.op.GetMethod() == musterv1.BulkOperation_METHOD_DELETE {
		return remove(ctx, st.rt, req)
	}
	c, err := st.change(b.meant)
	if err != nil {
		return err
	}
	r, err := change[scim.Resource](ctx, b.service.passwords, st.rt, c, req, false)
	if err != nil {
		return err
	}
	st.result.Version = r.GetMeta().GetVersion()
	return nil
}

// response lists the results of the steps that were done.
func (b *bulk) response() *musterv1.BulkResponse {
	out := &musterv1.BulkResponse{}
	for _, st := range b.steps {
		if st.result != nil {
			out.Operations = append(out.Operations, st.result)
		}
	}
	return out
}

// bulkTarget is an operation as a request for one resource. The answer needs no
// more of it than the version.
type bulkTarget struct{ id, ifMatch string }

func (t bulkTarget) GetId() string                 { return t.id } //nolint:revive // as generated code has it
func (t bulkTarget) GetIfMatch() string            { return t.ifMatch }
func (bulkTarget) GetIfNoneMatch() string          { return "" }
func (bulkTarget) GetAttributes() []string         { return []string{"meta"} }
func (bulkTarget) GetExcludedAttributes() []string { return nil }
