// Package events tells receivers of changes by security event tokens: what a token
// says (RFC 9967), how it is signed, and how it reaches the receiver: sent to it
// (RFC 8935) or fetched by it (RFC 8936). Its errors of delivery are facts for the
// operator; those that a caller meets are *scim.Error.
package events

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// The events of RFC 9967 that there are. An update is always a patch: the change log
// knows what it changed, and not by which request.
const (
	prefix       = "urn:ietf:params:scim:event:prov:"
	createFull   = prefix + "create:full"
	createNotice = prefix + "create:notice"
	patchFull    = prefix + "patch:full"
	patchNotice  = prefix + "patch:notice"
	deleted      = prefix + "delete"
	activate     = prefix + "activate"
	deactivate   = prefix + "deactivate"
)

// URIs are the names of all events that a token can have.
func URIs() []string {
	return []string{createFull, createNotice, patchFull, patchNotice, deleted, activate, deactivate}
}

// maxData is how large the data of an event may be, in bytes. Where there are more, as of
// a group with very many members, the event is a notice.
const maxData = 256 << 10

// An Event is what a token tells of one change of one resource.
type Event struct {
	Position                 int64
	ResourceType, ResourceID string
	Changed                  time.Time
	Claims                   Claims
}

// Claims are those of a token that tell of a change.
type Claims struct {
	// Transaction is the same in the tokens of all subscriptions.
	Transaction string `json:"txn"`
	// Time of the event, in Unix seconds.
	Time    int64              `json:"toe"`
	Subject Subject            `json:"sub_id"`
	Events  map[string]Payload `json:"events"`
}

// Subject is the resource (RFC 9967 section 2.1).
type Subject struct {
	Format     string `json:"format"`
	URI        string `json:"uri"`
	ExternalID string `json:"externalId,omitempty"`
	ID         string `json:"id"`
}

// Payload is what one event says, beside its name (RFC 9967 section 2.2).
type Payload struct {
	Version    string          `json:"version,omitempty"`
	Attributes []string        `json:"attributes,omitempty"`
	Data       json.RawMessage `json:"data,omitempty"`
}

// A Teller makes events of the changes of a tenant.
type Teller struct {
	tenant store.Tenant
	base   string
	full   bool
	show   map[string]*scim.Projection // by resource type
}

// NewTeller makes a teller. base is the SCIM base URL of the tenant, for the locations
// in the data of full events; empty: there are none.
func NewTeller(tenant store.Tenant, base string, full bool) *Teller {
	t := &Teller{tenant: tenant, base: base, full: full, show: make(map[string]*scim.Projection)}
	for _, rt := range tenant.Catalog().ResourceTypes() {
		t.show[rt.Name], _ = rt.CompileProjection(nil, nil) // which cannot be wrong
	}
	return t
}

// Types are the resource types that a filter wants: all, where it names none.
func Types(tenant store.Tenant, f store.ChangeFilter) []string {
	if len(f.Types) > 0 {
		return f.Types
	}
	var names []string
	for _, rt := range tenant.Catalog().ResourceTypes() {
		names = append(names, rt.Name)
	}
	return names
}

// Tell makes the event of a change; not ok: its resource type is no longer registered.
func (t *Teller) Tell(c *musterv1.Change) (e Event, ok bool) {
	rt := t.tenant.Catalog().ResourceType(c.GetResourceType())
	if rt == nil {
		return Event{}, false
	}
	r := resourceOf(c)
	e = Event{Position: c.GetPosition(), ResourceType: rt.Name, ResourceID: c.GetResourceId(), Changed: c.GetTime().AsTime()}
	e.Claims = Claims{
		Transaction: transaction(c.GetPosition(), e.Changed), Time: e.Changed.Unix(),
		Subject: Subject{Format: "scim", URI: rt.Endpoint + "/" + c.GetResourceId(), ID: c.GetResourceId()},
	}
	if r != nil {
		e.Claims.Subject.ExternalID = r.GetExternalId()
	}
	switch c.GetOperation() {
	case musterv1.Change_OPERATION_CREATE:
		e.Claims.Events = t.created(rt, c, r)
	case musterv1.Change_OPERATION_DELETE:
		e.Claims.Events = map[string]Payload{deleted: {}}
	default:
		e.Claims.Events = t.updated(c)
	}
	return e, true
}

func resourceOf(c *musterv1.Change) scim.Resource {
	switch r := c.GetResource().(type) {
	case *musterv1.Change_User:
		return r.User
	case *musterv1.Change_Group:
		return r.Group
	case *musterv1.Change_Registered:
		return r.Registered
	}
	return nil
}

// transaction names a change. Its time is in it, so that a database which was restored,
// and gives positions out again, does not give out names again.
func transaction(position int64, at time.Time) string {
	return strconv.FormatInt(position, 36) + "-" + strconv.FormatInt(at.UnixMilli(), 36)
}

// created is the event of a create.
func (t *Teller) created(rt *scim.ResourceType, c *musterv1.Change, r scim.Resource) map[string]Payload {
	if r == nil {
		return map[string]Payload{createNotice: {Version: c.GetVersion(), Attributes: []string{"id"}}}
	}
	t.show[rt.Name].Apply(r)
	if g, ok := r.(*musterv1.Group); ok {
		for _, id := range c.GetAddedMembers() {
			g.Members = append(g.Members, &musterv1.Member{Value: id})
		}
	}
	data := rt.AppendJSON(nil, r, t.base)
	if t.full && len(data) <= maxData {
		return map[string]Payload{createFull: {Version: c.GetVersion(), Data: data}}
	}
	return map[string]Payload{createNotice: {Version: c.GetVersion(), Attributes: namesOf(data)}}
}

// namesOf are the paths of the attributes that a resource has, but for what every one
// has.
func namesOf(resource []byte) (names []string) {
	var members map[string]json.RawMessage
	if json.Unmarshal(resource, &members) != nil {
		return nil
	}
	for name, value := range members {
		switch {
		case name == "schemas" || name == "meta":
		case strings.HasPrefix(name, "urn:"):
			for _, of := range namesOf(value) {
				names = append(names, name+":"+of)
			}
		default:
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// updated are the events of an update: what changed, and whether that made a user active
// or not. What is never shown, as a password, is in a notice beside the data.
func (t *Teller) updated(c *musterv1.Change) map[string]Payload {
	names := slices.Sorted(maps.Keys(c.GetAttributes()))
	members := len(c.GetAddedMembers())+len(c.GetRemovedMembers()) > 0
	all := names
	if members {
		all = append(slices.Clone(names), "members")
	}
	events := make(map[string]Payload, 2)
	if data, hidden := t.operations(c, names); data != nil {
		events[patchFull] = Payload{Version: c.GetVersion(), Data: data}
		all = hidden
	}
	if len(all) > 0 || len(events) == 0 {
		events[patchNotice] = Payload{Version: c.GetVersion(), Attributes: all}
	}
	if change, ok := c.GetAttributes()["active"]; ok && c.GetResourceType() == scim.User.Name {
		if before, after := isActive(change.GetBefore()), isActive(change.GetAfter()); before != after {
			events[map[bool]string{true: activate, false: deactivate}[after]] = Payload{}
		}
	}
	return events
}

// isActive tells what a user's active means; without one the user is active.
func isActive(v *structpb.Value) bool { return v == nil || v.GetBoolValue() }

// operation is one of a SCIM PATCH (RFC 7644 section 3.5.2).
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

type member struct {
	Value string `json:"value"`
}

// operations is the PATCH that makes of the resource before an update the one after it,
// with the paths of what it cannot show; nil: full events are not asked for, there is
// nothing to show, or it is too large.
func (t *Teller) operations(c *musterv1.Change, names []string) (data []byte, hidden []string) {
	if !t.full {
		return nil, nil
	}
	patch := struct {
		Schemas    []string    `json:"schemas"`
		Operations []operation `json:"Operations"`
	}{Schemas: []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"}}
	for _, name := range names {
		a := c.GetAttributes()[name]
		switch {
		case a.GetBefore() == nil && a.GetAfter() == nil:
			hidden = append(hidden, name)
			continue
		case a.GetAfter() == nil:
			patch.Operations = append(patch.Operations, operation{Op: "remove", Path: name})
			continue
		case loses(a.GetBefore(), a.GetAfter()): // a replace would leave what it does not name
			patch.Operations = append(patch.Operations, operation{Op: "remove", Path: name})
		}
		patch.Operations = append(patch.Operations, operation{Op: "replace", Path: name, Value: a.GetAfter().AsInterface()})
	}
	for _, id := range c.GetRemovedMembers() {
		patch.Operations = append(patch.Operations, operation{Op: "remove", Path: `members[value eq "` + id + `"]`})
	}
	if ids := c.GetAddedMembers(); len(ids) > 0 {
		added := make([]member, len(ids))
		for i, id := range ids {
			added[i] = member{id}
		}
		patch.Operations = append(patch.Operations, operation{Op: "add", Path: "members", Value: added})
	}
	if len(patch.Operations) == 0 {
		return nil, nil
	}
	data, err := json.Marshal(patch)
	if err != nil || len(data) > maxData {
		return nil, nil
	}
	return data, hidden
}

// loses tells whether a complex value has lost a sub-attribute.
func loses(before, after *structpb.Value) bool {
	was, is := before.GetStructValue().GetFields(), after.GetStructValue().GetFields()
	for name := range was {
		if is[name] == nil {
			return true
		}
	}
	return false
}
