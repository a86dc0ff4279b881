package store

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// A sqliteWriter owns the one connection that writes. Making a commit durable
// costs far more than the statements before it, so it runs all jobs that wait in
// one transaction and commits for all of them (group commit): with many clients
// each pays a part of one sync, and a single client pays no more than before.
//
// Tenants take turns in a batch, and a batch that takes long is committed before all
// had their turn. So the job of a tenant that writes little waits for few of others.
type sqliteWriter struct {
	conn *sqliteConn
	jobs chan *waiting
	done chan struct{}
	// left are the jobs that the last batch had no time for.
	left []*waiting
	// expected is how many jobs the last batch had.
	expected int

	mu     sync.RWMutex
	closed bool
}

// A waiting job, and where its outcome goes.
type waiting struct {
	ctx     context.Context //nolint:containedctx // it travels to the goroutine that writes
	tenant  int64
	job     job
	outcome chan error
}

// run runs the job. A panic must not end the writer: it goes back to the caller,
// as an error on the way.
func (item *waiting) run(tx tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicked{fmt.Sprintf("%v\n%s", p, debug.Stack())}
		}
	}()
	return item.job(context.WithoutCancel(item.ctx), tx)
}

// panicked is a panic inside of a job.
type panicked struct{ text string }

func (p *panicked) Error() string { return p.text }

// maxBatch is the most jobs of one commit, and batchTime is how long it goes on to
// begin them: they bound how long the first waits for the last.
const (
	maxBatch  = 128
	batchTime = 10 * time.Millisecond
)

// linger is how long a batch waits for as many jobs as the last one had. It is
// a part of what a commit takes.
const linger = 300 * time.Microsecond

func newSQLiteWriter(conn *sqliteConn) *sqliteWriter {
	w := &sqliteWriter{conn: conn, jobs: make(chan *waiting, maxBatch), done: make(chan struct{})}
	go w.run()
	return w
}

// do hands a job of a tenant to the writer and waits for its commit.
func (w *sqliteWriter) do(ctx context.Context, tenant int64, j job) error {
	item := &waiting{ctx: ctx, tenant: tenant, job: j, outcome: make(chan error, 1)}
	w.mu.RLock()
	if w.closed {
		w.mu.RUnlock()
		return errClosed
	}
	w.jobs <- item
	w.mu.RUnlock()
	err := <-item.outcome
	if p, ok := err.(*panicked); ok { //nolint:errorlint // our own, unwrapped
		panic(p.text)
	}
	return err
}

// close lets the jobs that wait finish, and ends the writer.
func (w *sqliteWriter) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	w.closed = true
	close(w.jobs)
	<-w.done
	return w.conn.close()
}

func (w *sqliteWriter) run() {
	defer close(w.done)
	for {
		if len(w.left) == 0 {
			first, ok := <-w.jobs
			if !ok {
				return
			}
			w.left = append(w.left, first)
		}
		batch := inTurn(w.collect(w.left))
		w.left = slices.Clone(batch[w.commit(batch):])
	}
}

// collect adds to the jobs at hand those that wait already, and those that come
// within linger if the batch before was larger: its clients are about to write
// again, and one commit for all is over sooner than two.
func (w *sqliteWriter) collect(batch []*waiting) []*waiting {
	var late <-chan time.Time // made when it is needed
	for len(batch) < maxBatch {
		select {
		case next, ok := <-w.jobs:
			if !ok {
				return batch
			}
			batch = append(batch, next)
			continue
		default:
		}
		if len(batch) >= w.expected {
			break
		}
		if late == nil {
			late = time.After(linger)
		}
		select {
		case next, ok := <-w.jobs:
			if !ok {
				return batch
			}
			batch = append(batch, next)
		case <-late:
			w.expected = len(batch)
		}
	}
	w.expected = len(batch)
	return batch
}

// inTurn orders jobs so that each tenant has one, and then each a second.
func inTurn(batch []*waiting) []*waiting {
	rounds := make([][]*waiting, 0, 8)
	had := make(map[int64]int)
	for _, item := range batch {
		n := had[item.tenant]
		had[item.tenant] = n + 1
		if n == len(rounds) {
			rounds = append(rounds, nil)
		}
		rounds[n] = append(rounds[n], item)
	}
	if len(had) <= 1 {
		return batch
	}
	return slices.Concat(rounds...)
}

// commit runs jobs of a batch, from the first, in one transaction, and tells how many
// have their outcome. A job that fails before it wrote anything fails alone. One that
// fails later spoils the transaction: those before it are run again without it, and it
// begins the next batch. If that is spoiled too, each gets a transaction of its own.
func (w *sqliteWriter) commit(batch []*waiting) (n int) {
	outcomes, spoiled := w.try(batch)
	if n = len(outcomes); spoiled && n > 1 {
		outcomes, spoiled = w.try(batch[:n-1])
		n = len(outcomes)
	}
	for i, item := range batch[:n] {
		if spoiled && n > 1 {
			alone, _ := w.try(batch[i : i+1])
			outcomes[i] = alone[0]
		}
		item.outcome <- outcomes[i]
	}
	return n
}

// try runs jobs of a batch, from the first, in one transaction, and returns the
// outcomes of those that there was time for. spoiled: the transaction was rolled back,
// and the outcomes say why.
func (w *sqliteWriter) try(batch []*waiting) (outcomes []error, spoiled bool) {
	ctx := context.Background()
	fail := func(err error) ([]error, bool) {
		_ = w.control(ctx, "ROLLBACK") // SQLite may have rolled back by itself
		for i := range outcomes {
			if outcomes[i] == nil {
				outcomes[i] = err
			}
		}
		return outcomes, true
	}
	if err := w.control(ctx, "BEGIN IMMEDIATE"); err != nil {
		outcomes = slices.Repeat([]error{nil}, len(batch))
		return fail(err)
	}
	begun := time.Now()
	for i, item := range batch {
		if i > 0 && time.Since(begun) > batchTime {
			break // the others are next
		}
		outcomes = append(outcomes, item.ctx.Err())
		if outcomes[i] != nil {
			continue // nobody waits for it any more
		}
		tx := &sqliteTx{conn: w.conn}
		outcomes[i] = item.run(tx)
		if outcomes[i] != nil && tx.wrote {
			return fail(outcomes[i])
		}
	}
	if err := w.control(ctx, "COMMIT"); err != nil {
		return fail(err)
	}
	return outcomes, false
}

func (w *sqliteWriter) control(ctx context.Context, text string) error {
	st := &statement{}
	return w.conn.exec(ctx, st.add(text))
}

// sqliteTx is the part of one job in a transaction.
type sqliteTx struct {
	conn  *sqliteConn
	wrote bool
}

func (t *sqliteTx) read(ctx context.Context, st *statement, row func(scan) error) error {
	return t.conn.query(ctx, st, row)
}

func (t *sqliteTx) write(ctx context.Context, st *statement) error {
	err := t.conn.exec(ctx, st)
	if err == nil {
		t.wrote = true // a statement that fails leaves nothing behind
	}
	return err
}
