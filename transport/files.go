package transport

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"os"
	"slices"
	"sync/atomic"
	"time"
)

// A watched is what some files say. They are read again from time to time, through
// their names: links that now lead elsewhere, as those of mounted secrets of
// Kubernetes do after a change, are followed anew.
type watched[T any] struct {
	what    string   // for the log
	paths   []string // of the files
	parse   func(files [][]byte) (*T, error)
	current atomic.Pointer[T]

	seen    [sha256.Size]byte // of the files that current was made of
	trouble string            // why they could not be read the last time; empty: they could
	told    bool              // the trouble is in the log
}

// read reads the files, and tells whether they are others than the last that were
// good. Where it fails, current stays what it was.
func (w *watched[T]) read() (changed bool, err error) {
	files := make([][]byte, len(w.paths))
	sum := sha256.New()
	for i, path := range w.paths {
		if files[i], err = os.ReadFile(path); err != nil { //nolint:gosec // the operator names it
			return false, err
		}
		one := sha256.Sum256(files[i])
		sum.Write(one[:])
	}
	if slices.Equal(sum.Sum(nil), w.seen[:]) {
		return false, nil
	}
	made, err := w.parse(files)
	if err != nil {
		return false, err
	}
	w.current.Store(made)
	w.seen = [sha256.Size]byte(sum.Sum(nil))
	return true, nil
}

// watch reads the files again and again until ctx ends. Trouble is told once, and
// not before it was met twice: somebody may be in the middle of writing them.
func (w *watched[T]) watch(ctx context.Context, every time.Duration, log *slog.Logger) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		changed, err := w.read()
		switch {
		case err == nil:
			w.trouble, w.told = "", false
			if changed {
				log.Info("read again: "+w.what, "files", w.paths)
			}
		case err.Error() != w.trouble:
			w.trouble, w.told = err.Error(), false
		case !w.told:
			w.told = true
			log.Error("cannot be read again, and stays as it was: "+w.what, "files", w.paths, "error", err)
		}
	}
}
