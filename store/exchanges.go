package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/muster-scim/muster/scim"
)

// Exchange is a request of a client and what came of it. A text that is empty is not
// known, or there is none.
type Exchange struct {
	ID       int64 // grows with time, in the order of commits
	TenantID int64 // NoTenant: it is not known
	Time     time.Time
	Took     time.Duration
	Server   string
	Door     string // REST or GRPC
	Kind     string // what it is about: discovery, users, …; the server's words
	Method   string // of HTTP, or the RPC
	Status   int    // of HTTP, or the one that means the same

	RequestID  string
	Credential string // its name
	Operator   string // the human behind it
	Address    string
	Client     string // the user agent
	Path       string // with the query
	Code       string // of gRPC
	Reason     string // of an error
	Detail     string // what the client was told of it
	Cause      string // why somebody was not let in; the server's words

	ResourceType, ResourceID string

	Preview bool  // nothing of it was kept
	Writes  bool  // it changed something, or was to
	LeftOut int64 // how many of the tenant and the server before it were not kept
	HasBody bool  // there are a request and an answer
	// Request and Answer are JSON that the server makes. Lists of exchanges leave them out.
	Request, Answer string
}

// The doors through which requests come.
const (
	REST = "rest"
	GRPC = "grpc"
)

// exchangesLock is the number of the lock that those hold on PostgreSQL who add
// exchanges: so ids are given out in the order of commits, and who follows them misses
// none. It is held for a moment, a few times a second.
const exchangesLock = 0x6d757374_6578

// AddExchanges adds exchanges: all of them or none.
func (s *Store) AddExchanges(ctx context.Context, all []Exchange) error {
	return s.write(ctx, func(ctx context.Context, tx tx) error {
		if s.dialect == postgres {
			if err := tx.write(ctx, s.statement().add("SELECT pg_advisory_xact_lock(", arg{int64(exchangesLock)}, ")")); err != nil {
				return err
			}
		}
		for i := range all {
			if err := tx.write(ctx, s.insertExchange(&all[i])); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Store) insertExchange(e *Exchange) *statement {
	return s.statement().add("INSERT INTO exchanges (tenant_id, occurred_at, took, server, door, kind, method, status, request_id, preview, writes, left_out,"+
		" credential, operator, address, client, path, code, reason, detail, cause, resource_type, resource_id, request, answer) VALUES (",
		arg{e.TenantID}, ", ", arg{e.Time.UnixMilli()}, ", ", arg{e.Took.Microseconds()}, ", ", arg{clean(e.Server)}, ", ", arg{e.Door}, ", ", arg{e.Kind}, ", ",
		arg{clean(e.Method)}, ", ", arg{e.Status}, ", ", arg{clean(e.RequestID)}, ", ", arg{e.Preview}, ", ", arg{e.Writes}, ", ", arg{e.LeftOut}, ", ",
		cleanOrNull(e.Credential), ", ", cleanOrNull(e.Operator), ", ", cleanOrNull(e.Address), ", ", cleanOrNull(e.Client), ", ", cleanOrNull(e.Path), ", ",
		cleanOrNull(e.Code), ", ", cleanOrNull(e.Reason), ", ", cleanOrNull(e.Detail), ", ", cleanOrNull(e.Cause), ", ", cleanOrNull(e.ResourceType), ", ",
		cleanOrNull(e.ResourceID), ", ", arg{textOrNull(e.Request)}, ", ", arg{textOrNull(e.Answer)}, ")")
}

// ExchangeQuery selects exchanges. A field that is empty selects nothing out.
type ExchangeQuery struct {
	// Tenants are their numbers: one, or one and NoTenant.
	Tenants []int64
	// After and Before are ids between which those that are wanted are; 0: any.
	After, Before int64
	From, To      time.Time // the first moment, and the first no more
	Errors        bool
	Writes        bool
	Status        int
	Kinds         []string

	Credential, PathPrefix, ResourceID, RequestID, Address string
	Method                                                 string // of gRPC with its service, or only its name

	// OldestFirst: in the order of ids; otherwise the newest come first.
	OldestFirst bool
	Count       int
}

// exchangeColumns are what scan reads, in its order, without the bodies.
const exchangeColumns = "id, tenant_id, occurred_at, took, server, door, kind, method, status, request_id, preview, writes, left_out," +
	" coalesce(credential, ''), coalesce(operator, ''), coalesce(address, ''), coalesce(client, ''), coalesce(path, ''), coalesce(code, ''), coalesce(reason, '')," +
	" coalesce(detail, ''), coalesce(cause, ''), coalesce(resource_type, ''), coalesce(resource_id, ''), request IS NOT NULL"

func (e *Exchange) scan(scan scan, more ...any) error {
	var at, took int64
	err := scan(append([]any{&e.ID, &e.TenantID, &at, &took, &e.Server, &e.Door, &e.Kind, &e.Method, &e.Status, &e.RequestID, &e.Preview, &e.Writes, &e.LeftOut,
		&e.Credential, &e.Operator, &e.Address, &e.Client, &e.Path, &e.Code, &e.Reason, &e.Detail, &e.Cause, &e.ResourceType, &e.ResourceID, &e.HasBody}, more...)...)
	e.Time, e.Took = time.UnixMilli(at), time.Duration(took)*time.Microsecond
	return err
}

// Exchanges reads exchanges without their bodies, at most as many as the query wants.
func (s *Store) Exchanges(ctx context.Context, q *ExchangeQuery) (all []Exchange, err error) {
	for _, tenant := range q.Tenants { // each is a walk along an index
		st := s.statement()
		st.add("SELECT "+exchangeColumns+" FROM exchanges WHERE tenant_id = ", arg{tenant})
		q.addFilter(st)
		st.add(" ORDER BY id")
		if !q.OldestFirst {
			st.add(" DESC")
		}
		err := s.read(ctx, st.add(" LIMIT ", arg{q.Count}), func(scan scan) error {
			var e Exchange
			err := e.scan(scan)
			all = append(all, e)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(all, func(a, b Exchange) int {
		if q.OldestFirst {
			return int(a.ID - b.ID)
		}
		return int(b.ID - a.ID)
	})
	return all[:min(len(all), q.Count)], nil
}

func (q *ExchangeQuery) addFilter(st *statement) {
	if q.After != 0 {
		st.add(" AND id > ", arg{q.After})
	}
	if q.Before != 0 {
		st.add(" AND id < ", arg{q.Before})
	}
	if !q.From.IsZero() {
		st.add(" AND occurred_at >= ", arg{q.From.UnixMilli()})
	}
	if !q.To.IsZero() {
		st.add(" AND occurred_at < ", arg{q.To.UnixMilli()})
	}
	if q.Errors {
		st.add(" AND status >= 400") // as the index has it
	}
	if q.Writes {
		st.add(" AND writes")
	}
	if q.Status != 0 {
		st.add(" AND status = ", arg{q.Status})
	}
	if len(q.Kinds) > 0 {
		st.add(" AND kind", in(q.Kinds))
	}
	for _, c := range []struct{ column, text string }{{"credential", q.Credential}, {"resource_id", q.ResourceID}, {"request_id", q.RequestID}, {"address", q.Address}} {
		if c.text != "" {
			st.add(" AND "+c.column+" = ", arg{clean(c.text)})
		}
	}
	if q.PathPrefix != "" {
		prefix := clean(q.PathPrefix)
		st.add(" AND substr(path, 1, ", arg{len([]rune(prefix))}, ") = ", arg{prefix})
	}
	if method := clean(q.Method); strings.Contains(method, "/") {
		st.add(" AND method = ", arg{method})
	} else if method != "" {
		tail := "/" + method
		st.add(" AND (method = ", arg{method}, " OR substr(method, length(method) - ", arg{len([]rune(tail)) - 1}, ") = ", arg{tail}, ")")
	}
}

// Exchange reads one of some tenants, with its bodies. It fails with NotFound.
func (s *Store) Exchange(ctx context.Context, tenants []int64, id int64) (e Exchange, err error) {
	st := s.statement()
	st.add("SELECT "+exchangeColumns+", coalesce(request, ''), coalesce(answer, '') FROM exchanges WHERE id = ", arg{id}, " AND tenant_id", numbers(tenants))
	err = s.read(ctx, st, func(scan scan) error { return e.scan(scan, &e.Request, &e.Answer) })
	if err == nil && e.ID == 0 {
		err = scim.Errorf(scim.NotFound, "there is no exchange %d; old ones are removed", id)
	}
	return e, err
}

// LastExchange is the id of the last one of any tenant; 0: there is none.
func (s *Store) LastExchange(ctx context.Context) (id int64, err error) {
	st := s.statement()
	err = s.read(ctx, st.add("SELECT coalesce(max(id), 0) FROM exchanges"), func(scan scan) error { return scan(&id) })
	return id, err
}

// exchangesAtOnce is how many one transaction removes.
const exchangesAtOnce = 500

// TrimExchanges removes exchanges from before a moment, and of each tenant those that
// are more than most, some at a time; it tells how many it has removed. most 0: any
// number stays.
func (s *Store) TrimExchanges(ctx context.Context, before time.Time, most int) (n int, err error) {
	var tenants numbers
	st := s.statement()
	err = s.read(ctx, st.add("SELECT DISTINCT tenant_id FROM exchanges"), func(scan scan) error {
		var id int64
		err := scan(&id)
		tenants = append(tenants, id)
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, tenant := range tenants {
		removed, err := s.trimExchangesOf(ctx, tenant, before, most)
		if n += removed; err != nil {
			return n, err
		}
	}
	return n, nil
}

// trimExchangesOf removes some of one tenant: they are removed from the beginning.
func (s *Store) trimExchangesOf(ctx context.Context, tenant int64, before time.Time, most int) (n int, err error) {
	var floor int64 // ids up to it are too many
	if most > 0 {
		st := s.statement()
		st.add("SELECT id FROM exchanges WHERE tenant_id = ", arg{tenant}, " ORDER BY id DESC LIMIT 1 OFFSET ", arg{most})
		if err := s.read(ctx, st, func(scan scan) error { return scan(&floor) }); err != nil {
			return 0, err
		}
	}
	var old numbers
	st := s.statement()
	st.add("SELECT id, occurred_at FROM exchanges WHERE tenant_id = ", arg{tenant}, " ORDER BY id LIMIT ", arg{exchangesAtOnce})
	err = s.read(ctx, st, func(scan scan) error {
		var id, at int64
		if err := scan(&id, &at); err != nil {
			return err
		}
		if id <= floor || at < before.UnixMilli() {
			old = append(old, id)
		}
		return nil
	})
	if err != nil || len(old) == 0 {
		return 0, err
	}
	return len(old), s.write(ctx, func(ctx context.Context, tx tx) error {
		return tx.write(ctx, s.statement().add("DELETE FROM exchanges WHERE id", old))
	})
}
