package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/muster-scim/muster/scim"
)

// The audit log says who asked for what, and what came of it. The event of a write
// that succeeds is part of its transaction; all others are added by AddAuditEvents.
// Events are sealed into a chain for each tenant soon after: see SealAudit.

// NoTenant is the owner of events that concern no tenant, as an attempt without a
// valid credential.
const NoTenant int64 = 0

// AuditOK is the outcome of what succeeded; that of anything else is the reason of
// its error.
const AuditOK = "ok"

// AuditEvent is one thing that somebody did or tried to do. A text that is empty is
// not known, or there is none.
type AuditEvent struct {
	ID         int64 // grows with time, nearly; of the database
	TenantID   int64 // of the credential; NoTenant where there was none
	Time       time.Time
	RequestID  string
	Credential string // its name
	Operator   string // the human behind it
	Address    string
	Client     string // the user agent
	Method     string // the RPC, as muster.v1.ProvisioningService/CreateUser
	// ResourceType and ResourceID are what it was about; of a tenant or credential its name.
	ResourceType string
	ResourceID   string
	Outcome      string // AuditOK, or the reason of the error
	Detail       string // of an error, what the client was told; else what more there is to say
	Preview      bool   // nothing of it was kept
	// Changes is JSON: what changed, before and after, without secrets.
	Changes string
	// Sequence is its place in the chain of its tenant, from 1; 0 until it is sealed.
	Sequence int64
	// Hash is of the event and the hash before it in the chain.
	Hash []byte
}

// Act is one thing that somebody does, or tries to do: what the events of its writes
// say of it. An Act is for one goroutine at a time.
type Act struct {
	TenantID                                                 int64 // of the credential
	Method, RequestID, Credential, Operator, Address, Client string
	// ResourceType and ResourceID are what it is about, where the write does not say.
	ResourceType, ResourceID string
	// Detail is what more there is to say of it where it is done.
	Detail string
	// Preview: its writes are not kept, so their events are for TakeKept.
	Preview bool

	recorded bool
	kept     []AuditEvent
}

type actKey struct{}

// Acting is a context in which writes record, in their transactions, that they were
// this act.
func Acting(ctx context.Context, act *Act) context.Context {
	return context.WithValue(ctx, actKey{}, act)
}

// actOf is the act of a context, or nil: its writes are not recorded.
func actOf(ctx context.Context) *Act {
	act, _ := ctx.Value(actKey{}).(*Act)
	return act
}

// Recorded tells whether the last write of the act has its event, in the log or kept.
func (a *Act) Recorded() bool { return a.recorded }

// TakeKept returns the events of the last write of a preview, once: they are in no log
// yet.
func (a *Act) TakeKept() []AuditEvent {
	kept := a.kept
	a.kept = nil
	return kept
}

// write runs a job as Store.write does, for the tenant, which has its fair share of
// what can be written at once. The job may record its act.
func (t Tenant) write(ctx context.Context, j job) error { return t.writeWithin(ctx, writeTimeout, j) }

func (t Tenant) writeWithin(ctx context.Context, limit time.Duration, j job) error {
	if t.preview {
		return errors.New("a preview credential would write to its tenant")
	}
	return t.store.writeWithin(ctx, t.id, limit, ofAct(j))
}

// writeAct is Store.write for a job that records its act.
func (s *Store) writeAct(ctx context.Context, j job) error { return s.write(ctx, ofAct(j)) }

// ofAct is a job that forgets what an earlier run of it has recorded.
func ofAct(j job) job {
	return func(ctx context.Context, tx tx) error {
		if a := actOf(ctx); a != nil {
			a.recorded, a.kept = false, nil
		}
		return j(ctx, tx)
	}
}

// Event is that of an act which succeeds, where no write records it.
func (a *Act) Event() AuditEvent { return a.event("", "", "", "") }

// event is that of a write of the act which succeeds. Method, type and id are those of
// the act where they are empty.
func (a *Act) event(method, resourceType, resourceID, changes string) AuditEvent {
	return AuditEvent{
		TenantID: a.TenantID, Time: time.UnixMilli(now()), RequestID: a.RequestID, Credential: a.Credential, Operator: a.Operator,
		Address: a.Address, Client: a.Client, Method: cmp.Or(method, a.Method), ResourceType: cmp.Or(resourceType, a.ResourceType),
		ResourceID: cmp.Or(resourceID, a.ResourceID), Outcome: AuditOK, Detail: a.Detail, Preview: a.Preview, Changes: changes,
	}
}

// audit records what a write does as an event of its act, if it has one.
func (s *Store) audit(ctx context.Context, tx tx, method, resourceType, resourceID, changes string) error {
	a := actOf(ctx)
	if a == nil {
		return nil
	}
	e := a.event(method, resourceType, resourceID, changes)
	a.recorded = true
	if a.Preview {
		a.kept = append(a.kept, e)
		return nil
	}
	return tx.write(ctx, s.insertEvent(&e))
}

// AddAuditEvents adds events of what was written nowhere: all of them or none.
func (s *Store) AddAuditEvents(ctx context.Context, events []AuditEvent) error {
	return s.write(ctx, func(ctx context.Context, tx tx) error {
		for i := range events {
			if err := tx.write(ctx, s.insertEvent(&events[i])); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Store) insertEvent(e *AuditEvent) *statement {
	return s.statement().add("INSERT INTO audit_events (tenant_id, occurred_at, request_id, credential, operator, address, client, method,"+
		" resource_type, resource_id, outcome, detail, preview, changes) VALUES (",
		arg{e.TenantID}, ", ", arg{e.Time.UnixMilli()}, ", ", arg{clean(e.RequestID)}, ", ", cleanOrNull(e.Credential), ", ", cleanOrNull(e.Operator), ", ",
		cleanOrNull(e.Address), ", ", cleanOrNull(e.Client), ", ", arg{clean(e.Method)}, ", ", cleanOrNull(e.ResourceType), ", ", cleanOrNull(e.ResourceID), ", ",
		arg{clean(e.Outcome)}, ", ", cleanOrNull(e.Detail), ", ", arg{e.Preview}, ", ", arg{textOrNull(e.Changes)}, ")")
}

// maxEventText is the most bytes of a text that came from outside.
const maxEventText = 1000

// clean makes a text that came from outside one that each database takes.
func clean(text string) string {
	if len(text) > maxEventText {
		text = text[:maxEventText]
	}
	if strings.IndexByte(text, 0) >= 0 || !utf8.ValidString(text) {
		text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
	}
	return text
}

// cleanOrNull is a clean text, or NULL for the empty one.
func cleanOrNull(text string) arg { return arg{textOrNull(clean(text))} }

// eventColumns are what scan reads, in its order.
const eventColumns = "id, tenant_id, occurred_at, request_id, coalesce(credential, ''), coalesce(operator, ''), coalesce(address, ''), coalesce(client, ''), method," +
	" coalesce(resource_type, ''), coalesce(resource_id, ''), outcome, coalesce(detail, ''), preview, coalesce(changes, ''), coalesce(sequence, 0), hash"

func (e *AuditEvent) scan(scan scan) error {
	var at int64
	err := scan(&e.ID, &e.TenantID, &at, &e.RequestID, &e.Credential, &e.Operator, &e.Address, &e.Client, &e.Method,
		&e.ResourceType, &e.ResourceID, &e.Outcome, &e.Detail, &e.Preview, &e.Changes, &e.Sequence, &e.Hash)
	e.Time = time.UnixMilli(at)
	return err
}

// hash is the hash of the event at a place of its tenant's chain: SHA-256 of the hash
// before it (nothing before the first), a line that names the form, and then the
// fields in a fixed order, numbers as eight bytes and texts after their length.
// docs/audit.md has the form for those who compute it elsewhere.
func (e *AuditEvent) hash(sequence int64, previous []byte) []byte {
	b := make([]byte, 0, 512+len(e.Changes))
	b = append(b, previous...)
	b = append(b, "muster audit event 1\n"...)
	number := func(n int64) { b = binary.BigEndian.AppendUint64(b, uint64(n)) } //nolint:gosec // its bits
	number(e.TenantID)
	number(sequence)
	number(e.Time.UnixMilli())
	for _, text := range []string{e.RequestID, e.Credential, e.Operator, e.Address, e.Client, e.Method, e.ResourceType, e.ResourceID, e.Outcome, e.Detail, e.Changes} {
		number(int64(len(text)))
		b = append(b, text...)
	}
	preview := byte(0)
	if e.Preview {
		preview = 1
	}
	sum := sha256.Sum256(append(b, preview))
	return sum[:]
}

// nothing is a resource without any attribute.
func nothing(rt *scim.ResourceType) scim.Resource { return mustDecode(rt, []byte("{}")) }

// eventChanges is what an event says of a change: the attributes, as attributesDiff
// has them, the members that a group got or lost, and the groups that the resource
// left. It is empty where there is nothing to say.
func eventChanges(attributes []byte, members map[string]bool, left []string) string {
	var b strings.Builder
	add := func(name string, value []byte) {
		if b.Len() == 0 {
			b.WriteByte('{')
		} else {
			b.WriteByte(',')
		}
		b.WriteString(`"` + name + `":`)
		b.Write(value)
	}
	if attributes != nil {
		b.Grow(len(attributes) + 20)
		add("attributes", attributes)
	}
	if len(members) > 0 {
		words := make(map[string][]string, 2)
		for _, id := range slices.Sorted(maps.Keys(members)) {
			word := "removed"
			if members[id] {
				word = "added"
			}
			words[word] = append(words[word], id)
		}
		add("members", mustJSON(words))
	}
	if len(left) > 0 {
		add("groups", mustJSON(map[string][]string{"removed": left}))
	}
	if b.Len() > 0 {
		b.WriteByte('}')
	}
	return b.String()
}

// mustJSON is for what always has a JSON form.
func mustJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}
