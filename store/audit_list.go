package store

import (
	"context"
	"slices"
	"time"
)

// AuditQuery selects events of one tenant. A field that is empty selects nothing out.
type AuditQuery struct {
	TenantID     int64
	From, To     time.Time // the first moment, and the first no more
	Credential   string
	Method       string // with its service; or only its name, as CreateUser
	ResourceType string
	ResourceID   string
	Outcome      string
	Failures     bool // those that did not succeed
	Address      string
	RequestID    string
	Operator     string
	Preview      *bool // those of previews, or the others; nil: all
	// Without leaves out the successes of these methods, with their services, of which
	// there is nothing more to say.
	Without []string

	// InChain: only those that are sealed, in the order of the chain, from the first;
	// otherwise the newest come first. Nothing is ever added before a place in the chain,
	// so who follows it misses nothing.
	InChain bool
	// After is where the page begins: after the event with this sequence if InChain,
	// otherwise before the event with this id; 0: at the beginning.
	After int64
	// Count is the most events of a page.
	Count int
}

// AuditPage is a part of the events.
type AuditPage struct {
	Events []AuditEvent
	// Next is the After of the next page; 0: there is none. A page may have fewer
	// events than asked for, or none, and still not be the last.
	Next int64
}

// maxScan is how many events one page looks at where no index finds those that are
// wanted; nearScan is how many it looks at first, which often is enough.
const (
	maxScan  = 50_000
	nearScan = 2_000
)

// AuditEvents reads a page of events.
func (s *Store) AuditEvents(ctx context.Context, q AuditQuery) (AuditPage, error) {
	w := newWindow(s, &q)
	if err := w.narrow(ctx); err != nil {
		return AuditPage{}, err
	}
	near := w
	if page, full, err := near.page(ctx, nearScan); err != nil || full || !near.cut {
		return page, err
	}
	page, _, err := w.page(ctx, maxScan)
	return page, err
}

// page reads the events of the page from the first most events of the window, or from all where an
// index finds them. full: there may be more even there.
func (w *window) page(ctx context.Context, most int) (page AuditPage, full bool, err error) {
	if err := w.cutBehind(ctx, most); err != nil {
		return AuditPage{}, false, err
	}
	events, err := readEvents(ctx, w.store, w.events())
	if err != nil {
		return AuditPage{}, false, err
	}
	page = AuditPage{Events: events, Next: w.after()}
	if full = len(events) > 0 && (len(events) == w.q.Count || size(events) > maxStepMemory); full {
		last := &events[len(events)-1]
		if page.Next = last.ID; w.q.InChain {
			page.Next = last.Sequence
		}
	}
	return page, full, nil
}

func size(events []AuditEvent) (n int) {
	for i := range events {
		n += len(events[i].Changes)
	}
	return n
}

// events is the query of the events of the page.
func (w *window) events() *statement {
	st := w.store.statement()
	st.add("SELECT " + eventColumns + " FROM audit_events WHERE ")
	w.add(st)
	w.q.addFilter(st)
	return st.add(" ORDER BY "+w.column+w.order+" LIMIT ", arg{w.q.Count})
}

// A window is the part of the log that a page looks at: all numbers of the column
// between two, which are in it. Events come in the order of their times, nearly, so the times
// of a query bound it.
type window struct {
	store  *Store
	q      *AuditQuery
	column string
	order  string // of the column
	// low and high are the bounds; 0: none. cut: there may be more beyond the far one.
	low, high int64
	cut       bool
}

func newWindow(s *Store, q *AuditQuery) window {
	if q.InChain {
		return window{store: s, q: q, column: "sequence"}
	}
	return window{store: s, q: q, column: "id", order: " DESC"}
}

// maxLate is how much later than it happened an event may be added, and how much the
// clocks of servers may differ.
const maxLate = time.Hour

// narrow finds the bounds.
func (w *window) narrow(ctx context.Context) (err error) {
	if !w.q.From.IsZero() {
		if w.low, err = w.find(ctx, w.q.From.Add(-maxLate)); err != nil {
			return err
		}
	}
	if !w.q.To.IsZero() {
		if w.high, err = w.find(ctx, w.q.To.Add(maxLate)); err != nil {
			return err
		}
	}
	switch after := w.q.After; {
	case after == 0:
	case w.q.InChain:
		w.low = max(w.low, after+1)
	case w.high == 0 || after-1 < w.high:
		w.high = after - 1
	}
	return nil
}

// cutBehind ends the window behind so many events, where no index finds those that are
// wanted.
func (w *window) cutBehind(ctx context.Context, most int) error {
	if !w.q.scans() {
		return nil
	}
	st := w.store.statement()
	st.add("SELECT " + w.column + " FROM audit_events WHERE ")
	w.add(st)
	st.add(" ORDER BY "+w.column+w.order+" LIMIT 1 OFFSET ", arg{most - 1})
	return w.store.read(ctx, st, func(scan scan) error {
		w.cut = true
		if w.q.InChain {
			return scan(&w.high)
		}
		return scan(&w.low)
	})
}

// after is where to go on once the whole window was looked at; 0: nowhere.
func (w *window) after() int64 {
	switch {
	case !w.cut:
		return 0
	case w.q.InChain:
		return w.high
	}
	return w.low
}

// add adds the conditions that an index answers.
func (w *window) add(st *statement) {
	st.add("tenant_id = ", arg{w.q.TenantID})
	if w.q.InChain {
		st.add(" AND sequence > 0")
	}
	if w.low != 0 {
		st.add(" AND "+w.column+" >= ", arg{w.low})
	}
	if w.high != 0 {
		st.add(" AND "+w.column+" <= ", arg{w.high})
	}
	if w.q.ResourceID != "" {
		st.add(" AND resource_id = ", arg{clean(w.q.ResourceID)})
	}
	if w.q.Credential != "" {
		st.add(" AND credential = ", arg{clean(w.q.Credential)})
	}
}

// find is the least number of the column from which on events are not from before a
// time, as near as their order allows. It asks for the time of some thirty events.
func (w *window) find(ctx context.Context, at time.Time) (int64, error) {
	var last int64
	st := w.store.statement()
	st.add("SELECT coalesce(max("+w.column+"), 0) FROM audit_events WHERE tenant_id = ", arg{w.q.TenantID})
	if err := w.store.read(ctx, st, func(scan scan) error { return scan(&last) }); err != nil {
		return 0, err
	}
	low, high := int64(1), last+1
	for low < high {
		middle := low + (high-low)/2
		next, moment := last+1, at.UnixMilli()
		st := w.store.statement()
		st.add("SELECT "+w.column+", occurred_at FROM audit_events WHERE tenant_id = ", arg{w.q.TenantID}, " AND "+w.column+" >= ", arg{middle}, " ORDER BY "+w.column+" LIMIT 1")
		if err := w.store.read(ctx, st, func(scan scan) error { return scan(&next, &moment) }); err != nil {
			return 0, err
		}
		if moment < at.UnixMilli() {
			low = next + 1
		} else {
			high = middle
		}
	}
	return low, nil
}

// scans tells whether the query has a condition that no index answers.
func (q *AuditQuery) scans() bool {
	return q.Failures || q.Preview != nil || len(q.Without) > 0 || slices.ContainsFunc([]string{q.Method, q.ResourceType, q.Outcome, q.Address, q.RequestID, q.Operator}, func(s string) bool { return s != "" })
}

// addFilter adds the conditions that each event is asked.
func (q *AuditQuery) addFilter(st *statement) {
	if !q.From.IsZero() {
		st.add(" AND occurred_at >= ", arg{q.From.UnixMilli()})
	}
	if !q.To.IsZero() {
		st.add(" AND occurred_at < ", arg{q.To.UnixMilli()})
	}
	for _, c := range [][2]string{{"resource_type", q.ResourceType}, {"outcome", q.Outcome}, {"address", q.Address}, {"request_id", q.RequestID}, {"operator", q.Operator}} {
		if c[1] != "" {
			st.add(" AND "+c[0]+" = ", arg{clean(c[1])})
		}
	}
	if q.Method != "" {
		st.add(" AND (method = ", arg{clean(q.Method)}, " OR method LIKE ", arg{"%/" + clean(q.Method)}, ")")
	}
	if len(q.Without) > 0 {
		st.add(" AND NOT (outcome = ", arg{AuditOK}, " AND coalesce(detail, '') = '' AND method", in(q.Without), ")")
	}
	if q.Preview != nil {
		st.add(" AND preview = ", arg{*q.Preview})
	}
	if q.Failures {
		st.add(" AND outcome <> ", arg{AuditOK})
	}
}
