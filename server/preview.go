package server

import (
	"context"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// Preview is what a server is told of preview credentials. The zero Preview works.
type Preview struct {
	// Folder is where the system keeps the data of copies. It must exist; empty: where
	// it keeps temporary files.
	Folder string
	// Idle is how long a copy is kept without being used; 0: DefaultPreviewIdle.
	Idle time.Duration
	// Copies is how many there are at once; 0: DefaultPreviewCopies.
	Copies int
}

// The defaults of Preview.
const (
	DefaultPreviewIdle   = time.Hour
	DefaultPreviewCopies = 4
)

const (
	// maxCopyTime is how long it may take to make a copy.
	maxCopyTime = 10 * time.Minute
	// maxAwaiting is how many calls wait for it.
	maxAwaiting = 32
	// maxSweep is how long a copy outlives its credential at most.
	maxSweep = time.Minute
)

// previews are the copies of tenants that preview credentials work on. A credential
// reads from its tenant until its first write; with that the server copies the
// tenant, and from then on the credential writes to the copy and reads from it. So
// the very same code answers, later requests see what earlier ones did, and the
// tenant stays as it is. What becomes of a copy that is not used is nothing.
type previews struct {
	Preview

	store *store.Store
	log   *slog.Logger

	some atomic.Bool // there are copies; it saves others the lock
	mu   sync.Mutex
	of   map[int64]*preview // by the id of the credential
	// closed: none begins any more.
	closed bool
}

// A preview is the copy that one credential works on.
type preview struct {
	began  store.Principal
	ready  chan struct{} // closed when copy or err is there
	cancel context.CancelFunc
	copy   *store.Copy
	err    error

	// What follows is guarded by previews.mu.
	calls int // under way, and the making of the copy
	used  time.Time
	ended bool // no call begins to use it any more
}

func newPreviews(st *store.Store, log *slog.Logger, options Preview) *previews {
	if options.Idle <= 0 {
		options.Idle = DefaultPreviewIdle
	}
	if options.Copies <= 0 {
		options.Copies = DefaultPreviewCopies
	}
	return &previews{Preview: options, store: st, log: log, of: make(map[int64]*preview)}
}

// await finds the copy that a call works on, and waits until it is made: before the
// call takes its turn, so that others of the tenant do not wait for it. What
// administers is not for previews (see permit), and who follows the change log sees the
// tenant, of which a preview changes nothing.
func (ps *previews) await(ctx context.Context, c *call) error {
	if !c.principal.Credential.Preview {
		if ps.some.Load() {
			ps.end(func(p *store.Principal) bool { return p.ID == c.principal.ID }, "its credential is live now")
		}
		return c.proceed(ctx)
	}
	does := policy[c.method].action
	if does != write && does != read || c.method == musterv1.ChangeService_ListChanges_FullMethodName || c.method == musterv1.ChangeService_WatchChanges_FullMethodName {
		return c.proceed(ctx)
	}
	var err error
	if c.preview, err = ps.enter(ctx, &c.principal, does == write); err != nil {
		return err
	}
	if c.preview != nil {
		defer ps.leave(c.preview)
	}
	return c.proceed(ctx)
}

// usePreview puts the copy in place of the tenant. It comes after what asks the tenant
// for its limits.
func usePreview(ctx context.Context, c *call) error {
	if c.preview != nil {
		c.principal.Tenant = c.preview.copy.Tenant
	}
	return c.proceed(ctx)
}

// enter is the preview of a credential, once its copy is made; nil where there is
// none and none is to begin. The caller must leave it.
func (ps *previews) enter(ctx context.Context, p *store.Principal, begin bool) (*preview, error) {
	v, err := ps.find(ctx, p, begin)
	if v == nil {
		return nil, err
	}
	select {
	case <-v.ready:
		err = v.err
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		ps.leave(v)
		return nil, err
	}
	return v, nil
}

// find finds the preview of a credential, or begins one.
func (ps *previews) find(ctx context.Context, p *store.Principal, begin bool) (*preview, error) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	v := ps.of[p.ID]
	if v != nil && !v.fits(p) {
		ps.endOne(v, "its credential or its tenant was changed")
		v = nil
	}
	if v == nil && begin {
		if err := ps.admit(); err != nil {
			return nil, err
		}
		v = ps.begin(ctx, p)
	}
	if v == nil {
		return nil, nil //nolint:nilnil // there is none, and that is no error
	}
	if v.calls > maxAwaiting && !v.isReady() {
		return nil, scim.Errorf(scim.RateLimited, "the tenant is being copied for a preview; try again later").After(2 * time.Second)
	}
	v.calls++
	return v, nil
}

// fits tells whether the credential, and what decides the answers of its tenant, are
// what they were when the preview began. The scopes may be those of a token.
func (v *preview) fits(p *store.Principal) bool {
	was, is := v.began.Credential, p.Credential
	was.Scopes, is.Scopes = nil, nil
	if !reflect.DeepEqual(was, is) {
		return false
	}
	return !v.isReady() || v.err != nil || v.copy.Fits(p.Tenant)
}

func (v *preview) isReady() bool {
	select {
	case <-v.ready:
		return true
	default:
		return false
	}
}

// admit tells whether there is room for one more.
func (ps *previews) admit() error {
	switch {
	case ps.closed:
		return scim.Errorf(scim.Unavailable, "the server is stopping")
	case len(ps.of) >= ps.Copies:
		return scim.Errorf(scim.Unavailable, "this server has as many previews under way as it may have, %d; one ends when its credential is revoked, or not used for %s",
			ps.Copies, ps.Idle).After(maxSweep)
	}
	return nil
}

// begin begins to copy the tenant. That goes on where the client does not wait for
// it: its next attempt finds the copy.
func (ps *previews) begin(ctx context.Context, p *store.Principal) *preview {
	v := &preview{began: *p, ready: make(chan struct{}), calls: 1, used: time.Now()}
	ctx, v.cancel = context.WithTimeout(context.WithoutCancel(ctx), maxCopyTime)
	ps.of[p.ID] = v
	if !ps.some.Swap(true) {
		time.AfterFunc(ps.sweepTime(), ps.sweep)
	}
	go ps.make(ctx, v)
	return v
}

func (ps *previews) make(ctx context.Context, v *preview) {
	defer v.cancel()
	start := time.Now()
	v.copy, v.err = v.began.Tenant.Copy(ctx, ps.Folder)
	close(v.ready)
	about := []any{"tenant", v.began.TenantName, "credential", v.began.Credential.Name, "seconds", time.Since(start).Seconds()}
	if v.err != nil {
		ps.log.Error("a preview could not begin", append(about, "cause", v.err)...)
		ps.mu.Lock()
		ps.endOne(v, "")
		ps.mu.Unlock()
	} else {
		ps.log.Info("a preview begins", append(about, "resources", v.copy.Resources)...)
	}
	ps.leave(v)
}

// leave ends a call that used the preview.
func (ps *previews) leave(v *preview) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	v.calls--
	v.used = time.Now()
	ps.discard(v)
}

// endOne ends a preview: the next call finds it no more. The copy goes when the last
// call that uses it is over.
func (ps *previews) endOne(v *preview, why string) {
	if v.ended {
		return
	}
	v.ended = true
	v.cancel()
	delete(ps.of, v.began.ID)
	if why != "" {
		ps.log.Info("a preview ends", "tenant", v.began.TenantName, "credential", v.began.Credential.Name, "because", why)
	}
	ps.discard(v)
}

// discard throws away the copy of a preview that has ended and is used by nobody.
func (ps *previews) discard(v *preview) {
	if !v.ended || v.calls > 0 || v.copy == nil {
		return
	}
	if err := v.copy.Close(); err != nil {
		ps.log.Error("throwing away the copy of a preview", "cause", err)
	}
	v.copy = nil
}

// end ends the previews of some credentials.
func (ps *previews) end(of func(*store.Principal) bool, why string) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, v := range ps.of {
		if of(&v.began) {
			ps.endOne(v, why)
		}
	}
}

// close ends all previews, and none begins any more.
func (ps *previews) close() {
	ps.mu.Lock()
	ps.closed = true
	ps.mu.Unlock()
	ps.end(func(*store.Principal) bool { return true }, "the server stops")
}

func (ps *previews) sweepTime() time.Duration { return min(max(ps.Idle/4, time.Millisecond), maxSweep) }

// sweep ends the previews that nobody uses, and those whose credential is not there
// any more; it comes again while there are some.
func (ps *previews) sweep() {
	ctx, cancel := context.WithTimeout(context.Background(), maxSweep)
	defer cancel()
	for id, idle := range ps.idle() {
		if idle {
			ps.end(func(p *store.Principal) bool { return p.ID == id }, "it was not used for "+ps.Idle.String())
			continue
		}
		if is, err := ps.store.IsPreview(ctx, id); err == nil && !is {
			ps.end(func(p *store.Principal) bool { return p.ID == id }, "its credential is revoked, expired or live now, or its tenant is suspended")
		}
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if len(ps.of) > 0 {
		time.AfterFunc(ps.sweepTime(), ps.sweep)
		return
	}
	ps.some.Store(false)
}

// idle lists the credentials that have previews, and whether nobody used them of late.
func (ps *previews) idle() map[int64]bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	all := make(map[int64]bool, len(ps.of))
	for id, v := range ps.of {
		all[id] = v.calls == 0 && time.Since(v.used) > ps.Idle
	}
	return all
}
