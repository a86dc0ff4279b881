package events

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/muster-scim/muster/store"
)

// Limits of what is known at once of the changes of a subscription.
const (
	maxWaiting = 200  // events that are read and not dealt with
	maxAhead   = 1000 // these, and those after them that are dealt with
	readAtOnce = 100  // changes
)

// A ledger is what is known of the events of a subscription from its position on: which
// wait, in their order, and which are dealt with already though earlier ones are not. So
// an event that fails holds up those of its own resource and no others.
type ledger struct {
	store  *store.Store
	name   string // of the tenant
	tenant store.Tenant
	teller *Teller
	filter store.ChangeFilter
	sub    *store.Subscription
	base   string

	read  int64 // the position up to which changes were read
	more  bool  // there are more to be read
	done  map[int64]bool
	items []*item
}

// An item is an event that waits.
type item struct {
	Event

	letter int64 // the id of the dead letter that it was; 0: none
	try    store.Try
	due    time.Time // when it may be tried
	busy   bool      // it is being tried
}

// openLedger begins with the dead letters that are to be delivered again.
func openLedger(ctx context.Context, st *store.Store, tenant string, sub *store.Subscription, base string) (*ledger, error) {
	l := &ledger{store: st, name: tenant, sub: sub, base: base, read: sub.Position, more: true, done: make(map[int64]bool, len(sub.Progress.Done))}
	current, err := st.Tenant(ctx, tenant)
	if err != nil {
		return nil, err
	}
	l.know(current)
	for _, p := range sub.Progress.Done {
		l.done[p] = true
	}
	letters, err := l.tenant.RetryingLetters(ctx, sub.ID, store.MaxDeadLetters)
	for i := range letters {
		e := &letters[i]
		one := &item{letter: e.ID, Event: Event{Position: e.Position, ResourceType: e.ResourceType, ResourceID: e.ResourceID, Changed: e.Changed}}
		if err := json.Unmarshal([]byte(e.Event), &one.Claims); err != nil {
			return nil, err
		}
		l.items = append(l.items, one)
	}
	return l, err
}

// know makes the ledger go by the catalog that a tenant has.
func (l *ledger) know(t store.Tenant) {
	l.tenant, l.teller, l.filter = t, NewTeller(t, l.base, l.sub.Settings.Full), l.sub.Settings.Filter
	l.filter.Types = Types(t, l.filter)
}

// fill reads changes as far as there is room. It fails with PositionGone.
func (l *ledger) fill(ctx context.Context, tries map[int64]store.Try) error {
	for l.more && len(l.items) < maxWaiting && len(l.items)+len(l.done) < maxAhead {
		p, err := l.tenant.Changes(ctx, l.read, l.filter, readAtOnce)
		if err != nil {
			return err
		}
		// A type that was registered meanwhile could have changes among these.
		if now, err := l.store.Tenant(ctx, l.name); err != nil {
			return err
		} else if now.CatalogVersion() != l.tenant.CatalogVersion() {
			l.know(now)
			continue
		}
		for _, c := range p.Changes {
			if l.done[c.GetPosition()] {
				continue
			}
			if e, ok := l.teller.Tell(c); ok {
				l.items = append(l.items, &item{Event: e, try: tries[e.Position]})
			}
		}
		l.read, l.more = p.Position, p.More
	}
	return nil
}

// heads are the first events of each resource that waits: those that may be tried.
func (l *ledger) heads() (heads []*item) {
	seen := make(map[string]bool, len(l.items))
	for _, i := range l.items {
		if !seen[i.ResourceID] {
			seen[i.ResourceID] = true
			heads = append(heads, i)
		}
	}
	return heads
}

// settle takes out an event that is dealt with.
func (l *ledger) settle(i *item) {
	if at := slices.Index(l.items, i); at >= 0 {
		l.items = slices.Delete(l.items, at, at+1)
		if i.letter == 0 {
			l.done[i.Position] = true
		}
	}
}

// position is that up to which all is dealt with.
func (l *ledger) position() int64 {
	for _, i := range l.items {
		if i.letter == 0 {
			return i.Position - 1
		}
	}
	return l.read
}

// progress is what the store keeps of the ledger. What is dealt with up to the position
// is forgotten.
func (l *ledger) progress() (position int64, p store.Progress) {
	position = l.position()
	maps.DeleteFunc(l.done, func(at int64, _ bool) bool { return at <= position })
	p.Done = slices.Sorted(maps.Keys(l.done))
	for _, i := range l.items {
		if i.try.Attempts > 0 && i.letter == 0 {
			if p.Tries == nil {
				p.Tries = make(map[int64]store.Try)
			}
			p.Tries[i.Position] = i.try
		}
	}
	return position, p
}

// deadLetter is the event as it is given up.
func (i *item) deadLetter(reason string) (store.DeadLetter, error) {
	claims, err := json.Marshal(i.Claims)
	return store.DeadLetter{
		Position: i.Position, ResourceType: i.ResourceType, ResourceID: i.ResourceID, Changed: i.Changed,
		Event: string(claims), Reason: reason, Attempts: max(i.try.Attempts, 1),
	}, err
}

// Names are the names of the events of a dead letter.
func Names(l *store.DeadLetter) []string {
	var c Claims
	if json.Unmarshal([]byte(l.Event), &c) != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(c.Events))
}
