package store

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// openWriter opens a database with a table, and its writer.
func openWriter(t *testing.T) *Store {
	t.Helper()
	s, err := Open(t.Context(), "sqlite://"+filepath.Join(t.TempDir(), "muster.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	st := s.statement()
	if err := s.write(t.Context(), func(ctx context.Context, tx tx) error {
		return tx.write(ctx, st.add("CREATE TABLE jobs (name TEXT UNIQUE)"))
	}); err != nil {
		t.Fatal(err)
	}
	return s
}

// keep is a job that keeps a name.
func keep(s *Store, name string) job {
	return func(ctx context.Context, tx tx) error {
		return tx.write(ctx, s.statement().add("INSERT INTO jobs VALUES (", arg{name}, ")"))
	}
}

// kept are the names that are kept.
func kept(t *testing.T, s *Store) (names []string) {
	t.Helper()
	err := s.read(t.Context(), s.statement().add("SELECT name FROM jobs ORDER BY rowid"), func(scan scan) error {
		var name string
		err := scan(&name)
		names = append(names, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// blockWriter keeps the writer busy until release.
func blockWriter(t *testing.T, s *Store) (release func()) {
	t.Helper()
	begun, ended, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		_ = s.write(context.Background(), func(context.Context, tx) error {
			close(begun)
			<-ended
			return nil
		})
	}()
	<-begun
	return func() {
		close(ended)
		<-done
	}
}

// enqueue hands a job to the writer, behind all that were handed before.
func enqueue(t *testing.T, s *Store, wg *sync.WaitGroup, tenant int64, j job) (outcome *error) {
	t.Helper()
	before := len(s.writer.jobs)
	outcome = new(error)
	wg.Go(func() { *outcome = s.writer.do(context.Background(), tenant, j) })
	for len(s.writer.jobs) == before {
		time.Sleep(time.Millisecond)
	}
	return outcome
}

// The job of a tenant that writes little waits for none but the first of a tenant
// that writes much.
func TestSQLiteWriter_TenantsTakeTurns(t *testing.T) {
	s := openWriter(t)
	release := blockWriter(t, s)
	var wg sync.WaitGroup
	for _, name := range []string{"a", "b", "c", "d"} {
		enqueue(t, s, &wg, 1, keep(s, name))
	}
	enqueue(t, s, &wg, 2, keep(s, "of the second"))
	enqueue(t, s, &wg, 3, keep(s, "of the third"))
	release()
	wg.Wait()
	if got, want := kept(t, s), []string{"a", "of the second", "of the third", "b", "c", "d"}; !slices.Equal(got, want) {
		t.Errorf("written in the order %q, want %q", got, want)
	}
}

// What takes long is committed before all that wait had their turn.
func TestSQLiteWriter_ABatchEndsInTime(t *testing.T) {
	s := openWriter(t)
	release := blockWriter(t, s)
	var wg sync.WaitGroup
	visible := -1
	for i, name := range []string{"a", "b", "c"} {
		enqueue(t, s, &wg, 1, func(ctx context.Context, tx tx) error {
			if i == 2 {
				visible = len(kept(t, s))
			}
			time.Sleep(batchTime + time.Millisecond)
			return keep(s, name)(ctx, tx)
		})
	}
	release()
	wg.Wait()
	if visible != 2 {
		t.Errorf("when the last is run %d of the others are committed, want 2", visible)
	}
	if got := kept(t, s); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("written: %q", got)
	}
}

// A job that fails after it wrote takes nothing with it: not what ran before, not what
// runs after.
func TestSQLiteWriter_WhatSpoilsABatchFailsAlone(t *testing.T) {
	s := openWriter(t)
	release := blockWriter(t, s)
	var wg sync.WaitGroup
	broken := errors.New("broken")
	spoil := func(name string) job {
		return func(ctx context.Context, tx tx) error {
			return errors.Join(keep(s, name)(ctx, tx), broken)
		}
	}
	jobs := []job{keep(s, "a"), spoil("x"), keep(s, "b"), spoil("y"), spoil("z"), keep(s, "c"), keep(s, "a")}
	outcomes := make([]*error, len(jobs))
	for i, j := range jobs {
		outcomes[i] = enqueue(t, s, &wg, int64(i%2), j)
	}
	release()
	wg.Wait()
	for i, want := range []error{nil, broken, nil, broken, broken, nil, errTaken} {
		if !errors.Is(*outcomes[i], want) {
			t.Errorf("job %d: %v, want %v", i, *outcomes[i], want)
		}
	}
	names := kept(t, s)
	slices.Sort(names)
	if !slices.Equal(names, []string{"a", "b", "c"}) {
		t.Errorf("kept: %q", names)
	}
}
