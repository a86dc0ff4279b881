package server

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"sync"
	"time"

	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// CursorTimeout is how long a cursor is good for.
const CursorTimeout = 24 * time.Hour

// maxCursor is more than the most bytes of a cursor of ours.
const maxCursor = 24 << 10

// A cursor is what a client gives back for the next page of a list (RFC 9865).
// The server keeps nothing of it, so that any server of the database can go on
// where another stopped.
type cursor struct {
	Place scim.Place `json:"p"`
	Count int        `json:"c"`           // of the first page
	Total int        `json:"t,omitempty"` // that the first page found
	Made  int64      `json:"m"`           // Unix time in seconds
}

// cursors seal and open them.
type cursors struct {
	store *store.Store
	now   func() time.Time

	mu  sync.Mutex
	key []byte
}

func newCursors(st *store.Store) *cursors { return &cursors{store: st, now: time.Now} }

// A sealed cursor is one byte for its form, a salt, and the cursor, which is
// encrypted and authenticated by a key and a nonce made of the salt. Each key seals
// one cursor only, so no number of them is too many.
const (
	cursorForm = 1
	saltSize   = 16
)

var errCursor = scim.Errorf(scim.InvalidCursor, "the cursor is not one of this list; begin with an empty one")

// seal makes the text of a cursor. It opens only together with of, which says which
// list of which tenant it is for.
func (s *cursors) seal(ctx context.Context, c cursor, of []byte) (string, error) {
	c.Made = s.now().Unix()
	text, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	out := make([]byte, 1+saltSize)
	out[0] = cursorForm
	_, _ = rand.Read(out[1:]) // it never fails
	aead, nonce, err := s.aead(ctx, out[1:])
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(aead.Seal(out, nonce, text, of)), nil
}

// open reads what seal made. It fails with InvalidCursor where the text was made
// elsewhere or for another list, and does not tell which; with ExpiredCursor where
// it is too old.
func (s *cursors) open(ctx context.Context, sealed string, of []byte) (c cursor, err error) {
	if len(sealed) > maxCursor {
		return c, errCursor
	}
	in, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil || len(in) < 1+saltSize || in[0] != cursorForm {
		return c, errCursor
	}
	aead, nonce, err := s.aead(ctx, in[1:1+saltSize])
	if err != nil {
		return c, err
	}
	text, err := aead.Open(nil, nonce, in[1+saltSize:], of)
	if err != nil {
		return c, errCursor
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return c, err
	}
	if s.now().Sub(time.Unix(c.Made, 0)) > CursorTimeout {
		return c, scim.Errorf(scim.ExpiredCursor, "the cursor is older than %s; begin with an empty one", CursorTimeout)
	}
	return c, nil
}

// aead is the cipher of one cursor, and its nonce.
func (s *cursors) aead(ctx context.Context, salt []byte) (aead cipher.AEAD, nonce []byte, err error) {
	const keySize, nonceSize = 32, 12 // AES-256 in GCM
	shared, err := s.sharedKey(ctx)
	if err != nil {
		return nil, nil, err
	}
	own, err := hkdf.Key(sha256.New, shared, salt, "cursor", keySize+nonceSize)
	if err != nil {
		return nil, nil, err
	}
	block, err := aes.NewCipher(own[:keySize])
	if err != nil {
		return nil, nil, err
	}
	aead, err = cipher.NewGCM(block)
	return aead, own[keySize:], err
}

// sharedKey is the key that all servers of the database share.
func (s *cursors) sharedKey(ctx context.Context) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.key == nil {
		key, err := s.store.Key(ctx, "cursors")
		if err != nil {
			return nil, err
		}
		s.key = key
	}
	return s.key, nil
}
