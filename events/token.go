package events

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/store"
)

// The life of a key that signs.
const (
	// settling is how long a key is published before it signs, so that receivers know it.
	settling = 10 * time.Minute
	// retired is how long a key stays published after another signs.
	retired = 7 * 24 * time.Hour
	// Kept is how long a key is of use after another was made.
	Kept = settling + retired
	// keysFresh is how long the keys of the database are good in memory.
	keysFresh = 10 * time.Second
)

// Tokens signs what is told to receivers, with the keys that all servers of a database
// share.
type Tokens struct {
	store  *store.Store
	issuer string
	base   string

	mu   sync.Mutex
	keys []key // the newest first
	read time.Time
}

type key struct {
	store.SigningKey

	private *ecdsa.PrivateKey
}

// NewTokens makes the signer of a database. base is the public address of the SCIM base,
// such as https://scim.example.com/scim/v2; issuer is the claim iss.
func NewTokens(st *store.Store, issuer, base string) *Tokens {
	return &Tokens{store: st, issuer: issuer, base: strings.TrimRight(base, "/")}
}

// current reads the keys, and makes the first where there is none.
func (t *Tokens) current(ctx context.Context) ([]key, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Since(t.read) < keysFresh {
		return t.keys, nil
	}
	found, err := t.store.SigningKeys(ctx)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		if _, err := t.make(ctx, false); err != nil {
			return nil, err
		}
		if found, err = t.store.SigningKeys(ctx); err != nil {
			return nil, err
		}
	}
	keys := make([]key, len(found))
	for i, k := range found {
		private, err := x509.ParseECPrivateKey(k.Value)
		if err != nil {
			return nil, fmt.Errorf("the signing key %s of the database cannot be read: %w", k.ID, err)
		}
		keys[i] = key{k, private}
	}
	t.keys, t.read = keys, time.Now()
	return keys, nil
}

// make makes a key, in place of all others or beside them.
func (t *Tokens) make(ctx context.Context, alone bool) (id string, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		return "", err
	}
	id = strings.ToLower(rand.Text()[:16])
	return id, t.store.AddSigningKey(ctx, id, der, alone)
}

// Rotate makes another key, and returns its id. With alone the others are gone, here at
// once and on other servers within seconds.
func (t *Tokens) Rotate(ctx context.Context, alone bool) (id string, err error) {
	if id, err = t.make(ctx, alone); err != nil {
		return "", err
	}
	t.mu.Lock()
	t.read = time.Time{}
	t.mu.Unlock()
	return id, t.store.RemoveSigningKeys(ctx, time.Now().Add(-Kept))
}

// signing is the key that signs: the newest that receivers can know.
func signing(keys []key) key {
	for _, k := range keys {
		if time.Since(k.Created) >= settling {
			return k
		}
	}
	return keys[len(keys)-1]
}

// Published are the public keys of tokens that may still be under way.
func (t *Tokens) Published(ctx context.Context) (published []*musterv1.SigningKey, err error) {
	keys, err := t.current(ctx)
	for i, k := range keys {
		if i > 0 && time.Since(keys[i-1].Created) > Kept {
			break // the one before it has signed for so long
		}
		point, err := k.private.PublicKey.Bytes() // 4, x, y
		if err != nil {
			return nil, err
		}
		half := len(point) / 2
		published = append(published, &musterv1.SigningKey{
			Kty: "EC", Crv: "P-256", Alg: string(jose.ES256), Use: "sig", Kid: k.ID,
			X: base64.RawURLEncoding.EncodeToString(point[1 : 1+half]), Y: base64.RawURLEncoding.EncodeToString(point[1+half:]),
		})
	}
	return published, err
}

// jti names the token of an event for a subscription: the same, whenever it is sent.
func jti(sub *store.Subscription, e *Event) string { return sub.Handle + "-" + e.Claims.Transaction }

// Audience is whom the tokens of a subscription are for.
func Audience(tenant string, sub *store.Subscription) []string {
	switch {
	case len(sub.Settings.Audience) > 0:
		return sub.Settings.Audience
	case sub.Push:
		return []string{sub.Settings.Endpoint}
	}
	return []string{tenant + "/" + sub.Name}
}

// Sign makes the token of an event for a subscription (RFC 8417), and returns it with its
// jti.
func (t *Tokens) Sign(ctx context.Context, tenant string, sub *store.Subscription, e *Event) (id, token string, err error) {
	keys, err := t.current(ctx)
	if err != nil {
		return "", "", err
	}
	id = jti(sub, e)
	var audience any = Audience(tenant, sub)
	if list := Audience(tenant, sub); len(list) == 1 {
		audience = list[0]
	}
	payload, err := json.Marshal(struct {
		Claims

		Issuer   string `json:"iss"`
		IssuedAt int64  `json:"iat"`
		ID       string `json:"jti"`
		Audience any    `json:"aud"`
	}{e.Claims, t.issuer, time.Now().Unix(), id, audience})
	if err != nil {
		return "", "", err
	}
	k := signing(keys)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: k.private, KeyID: k.ID}},
		(&jose.SignerOptions{}).WithType("secevent+jwt"))
	if err != nil {
		return "", "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", "", err
	}
	token, err = signed.CompactSerialize()
	return id, token, err
}
