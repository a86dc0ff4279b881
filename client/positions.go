package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Positions keep the position of a watcher. A service that keeps what it makes of
// changes in a database of its own does best to keep the position there, in the same
// transaction: then it sees each change exactly once.
type Positions interface {
	// Load returns the position that was saved last; 0: none.
	Load(ctx context.Context) (int64, error)
	// Save keeps a position.
	Save(ctx context.Context, position int64) error
}

// FilePositions keeps the position in the file of that name.
type FilePositions string

// Load reads the file; where there is none the position is 0.
func (f FilePositions) Load(context.Context) (int64, error) {
	text, err := os.ReadFile(string(f))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	position, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s holds no position: %w", string(f), err)
	}
	return position, nil
}

// Save writes the file whole, under another name first: there is no time at which it
// holds half a number.
func (f FilePositions) Save(_ context.Context, position int64) error {
	fresh, err := os.CreateTemp(filepath.Dir(string(f)), filepath.Base(string(f))+"-*")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(fresh, position)
	if err = errors.Join(err, fresh.Close()); err == nil {
		err = os.Rename(fresh.Name(), string(f))
	}
	if err != nil {
		err = errors.Join(err, os.Remove(fresh.Name()))
	}
	return err
}
