package store

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/muster-scim/muster/scim"
)

// Purpose is what a token of OAuth 2.0 is for.
type Purpose string

// The purposes of what OAuth 2.0 issues.
const (
	AccessToken       Purpose = purposeAccess
	RefreshToken      Purpose = purposeRefresh
	AuthorizationCode Purpose = purposeCode
)

// purposeAssertion is that of a JWT which proved a client: its row keeps it from
// doing so again. It stands for nothing.
const purposeAssertion = "assertion"

// Token is what OAuth 2.0 issued to a client. The token itself is nowhere.
type Token struct {
	Purpose Purpose
	Hash    [32]byte // SHA-256
	Scopes  []string
	Expires time.Time
	// Family names all that came of one authorization; empty: it came of none.
	Family string
	// Detail is JSON: what a code has to remember. Empty: nothing.
	Detail string
}

// Errors of tokens. Whether one is unknown, expired or another client's nobody can
// tell.
var (
	ErrNoToken = scim.Errorf(scim.Unauthenticated, "the code or refresh token is not valid, or has expired")
	// ErrSpent is that of a code or refresh token which is used again. All tokens of
	// its family are gone.
	ErrSpent = scim.Errorf(scim.Unauthenticated, "the code or refresh token was used before; all tokens of its authorization are revoked")
	// ErrReplayed is that of an assertion which is used again.
	ErrReplayed = scim.Errorf(scim.Unauthenticated, "the assertion was used before")
)

// OAuthLookup is the lookup of the OAuth client with a client_id.
func OAuthLookup(clientID string) string { return "oauth:" + clientID }

// ClientID is the client_id of an OAuth client.
func (c *Credential) ClientID() string {
	id, _ := strings.CutPrefix(c.Lookup, OAuthLookup(""))
	return id
}

// AllowsAddress tells whether the credential may be used from an address.
func (c *Credential) AllowsAddress(a netip.Addr) bool {
	return len(c.Networks) == 0 || slices.ContainsFunc(c.Networks, func(n netip.Prefix) bool { return n.Contains(a) })
}

// OAuthClient finds an OAuth client, which has proved nothing yet. It fails as
// Authenticate does.
func (s *Store) OAuthClient(ctx context.Context, clientID string) (Principal, error) {
	return s.AuthenticateLookup(ctx, OAuth, OAuthLookup(clientID))
}

// AuthenticateClient finds the OAuth client whose secret has the SHA-256 hash. It
// fails as Authenticate does.
func (s *Store) AuthenticateClient(ctx context.Context, clientID string, hash [32]byte) (Principal, error) {
	st := s.statement()
	st.add("SELECT "+principalColumns+", k.scopes, k.expires_at FROM tokens k JOIN credentials c ON c.id = k.credential_id JOIN tenants t ON t.id = c.tenant_id"+
		" WHERE k.hash = ", arg{hash[:]}, " AND k.purpose = '"+purposeSecret+"' AND c.kind = '"+string(OAuth)+"' AND c.lookup = ", arg{OAuthLookup(clientID)})
	return s.principal(ctx, st)
}

// IssueToken keeps a token that is issued to a client. It fails with ErrNoToken
// where the client is gone.
func (s *Store) IssueToken(ctx context.Context, credential int64, t Token) error {
	err := s.writeAct(ctx, func(ctx context.Context, tx tx) error {
		if err := s.addToken(ctx, tx, credential, t); err != nil || t.Purpose == purposeAssertion {
			return err
		}
		return s.audit(ctx, tx, "", "", "", tokenChanges(t))
	})
	if errors.Is(err, errGone) {
		return ErrNoToken
	}
	return err
}

// addToken writes the row of a token; none where the credential is gone.
func (s *Store) addToken(ctx context.Context, tx tx, credential int64, t Token) error {
	st := s.statement()
	st.add("INSERT INTO tokens (credential_id, purpose, hash, scopes, created_at, expires_at, family, detail) SELECT c.id, ",
		arg{string(t.Purpose)}, s.cast("text"), ", ", arg{t.Hash[:]}, s.cast("bytea"), ", ", arg{strings.Join(t.Scopes, " ")}, s.cast("text"), ", ",
		arg{now()}, s.cast("bigint"), ", ", arg{t.Expires.UnixMilli()}, s.cast("bigint"), ", ", arg{textOrNull(t.Family)}, s.cast("text"), ", ",
		arg{textOrNull(t.Detail)}, s.cast("jsonb"), " FROM credentials c WHERE c.id = ", arg{credential})
	return tx.write(ctx, st)
}

// cast says of which type an argument is where PostgreSQL cannot find it out.
func (s *Store) cast(pgType string) string {
	if s.dialect == postgres {
		return "::" + pgType
	}
	return ""
}

// ExchangeToken spends a code or refresh token of a client for the tokens that next
// makes of it; they get its family. next may run more than once. Where it fails
// nothing is spent. ExchangeToken fails with ErrNoToken, and with ErrSpent for what
// was spent before: then all tokens of the family are gone. Of many that spend one
// at the same time, on any server, one succeeds.
func (s *Store) ExchangeToken(ctx context.Context, credential int64, purpose Purpose, hash [32]byte, next func(Token) ([]Token, error)) error {
	reused := false
	err := s.writeAct(ctx, func(ctx context.Context, tx tx) error {
		t, id, spent, err := s.lockToken(ctx, tx, credential, purpose, hash)
		if reused = spent; err != nil {
			return err
		}
		if spent {
			return s.removeFamily(ctx, tx, credential, t.Family)
		}
		fresh, err := next(t)
		if err != nil {
			return err
		}
		// What is spent is kept as long as what came of it, so that its reuse shows.
		keep := t.Expires
		for i := range fresh {
			if fresh[i].Family = t.Family; fresh[i].Expires.After(keep) {
				keep = fresh[i].Expires
			}
		}
		spend := s.statement()
		spend.add("UPDATE tokens SET used_at = ", arg{now()}, ", expires_at = ", arg{keep.UnixMilli()}, " WHERE id = ", arg{id})
		if err := tx.write(ctx, spend); err != nil {
			return err
		}
		for _, f := range fresh {
			if err := s.addToken(ctx, tx, credential, f); err != nil {
				return err
			}
		}
		return s.audit(ctx, tx, "", "", "", tokenChanges(fresh...))
	})
	switch {
	case errors.Is(err, errGone): // the credential was revoked meanwhile
		return ErrNoToken
	case err == nil && reused:
		return ErrSpent
	}
	return err
}

// lockToken reads a code or refresh token that nobody else can spend before the
// transaction ends.
func (s *Store) lockToken(ctx context.Context, tx tx, credential int64, purpose Purpose, hash [32]byte) (t Token, id int64, spent bool, err error) {
	st := s.statement()
	st.add("SELECT id, scopes, expires_at, used_at, family, detail FROM tokens WHERE hash = ", arg{hash[:]},
		" AND purpose = ", arg{string(purpose)}, " AND credential_id = ", arg{credential})
	if s.dialect == postgres {
		st.add(" FOR NO KEY UPDATE")
	}
	var scopes, family, detail *string
	var expires, used *int64
	found := false
	err = tx.read(ctx, st, func(scan scan) error {
		found = true
		return scan(&id, &scopes, &expires, &used, &family, &detail)
	})
	if err != nil {
		return t, 0, false, err
	}
	if !found || expires == nil || *expires <= now() {
		return t, 0, false, ErrNoToken
	}
	t = Token{Purpose: purpose, Hash: hash, Expires: time.UnixMilli(*expires)}
	if scopes != nil {
		t.Scopes = strings.Fields(*scopes)
	}
	if family != nil {
		t.Family = *family
	}
	if detail != nil {
		t.Detail = *detail
	}
	return t, id, used != nil, nil
}

func (s *Store) removeFamily(ctx context.Context, tx tx, credential int64, family string) error {
	st := s.statement()
	st.add("DELETE FROM tokens WHERE family = ", arg{family}, " AND credential_id = ", arg{credential})
	return tx.write(ctx, st)
}

// RevokeToken ends a token of a client; with a refresh token, all of its family. A
// token that is none of the client's is no error.
func (s *Store) RevokeToken(ctx context.Context, credential int64, hash [32]byte) error {
	return s.writeAct(ctx, func(ctx context.Context, tx tx) error {
		st := s.statement()
		st.add("DELETE FROM tokens WHERE credential_id = ", arg{credential}, " AND purpose IN ('"+purposeAccess+"', '"+purposeRefresh+"') AND (hash = ", arg{hash[:]},
			" OR family IN (SELECT family FROM tokens WHERE hash = ", arg{hash[:]}, " AND purpose = '"+purposeRefresh+"' AND credential_id = ", arg{credential}, "))")
		if err := tx.write(ctx, st); err != nil {
			return err
		}
		return s.audit(ctx, tx, "", "", "", aSecret)
	})
}

// RememberAssertion makes sure that an assertion of a client, named by a hash, is
// used once on all servers of the database. It must be kept until it expires. It
// fails with ErrReplayed.
func (s *Store) RememberAssertion(ctx context.Context, credential int64, hash [32]byte, expires time.Time) error {
	err := s.IssueToken(ctx, credential, Token{Purpose: purposeAssertion, Hash: hash, Expires: expires})
	if scim.ReasonOf(err) == scim.Uniqueness {
		return ErrReplayed
	}
	return err
}

// expiredStep is how many expired tokens are removed in one transaction.
const expiredStep = 500

// RemoveExpiredTokens removes tokens that have expired, some at a time, and returns
// how many: 0 means that there are none. Several servers may do so at once.
func (s *Store) RemoveExpiredTokens(ctx context.Context) (removed int, err error) {
	find := s.statement()
	find.add("SELECT id FROM tokens WHERE expires_at <= ", arg{now()}, " ORDER BY expires_at LIMIT ", arg{expiredStep})
	var ids []string
	err = s.read(ctx, find, func(scan scan) error {
		var id int64
		err := scan(&id)
		ids = append(ids, strconv.FormatInt(id, 10))
		return err
	})
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	err = s.write(ctx, func(ctx context.Context, tx tx) error {
		if err := s.rememberTokens(ctx, tx, true, "k.id IN (", strings.Join(ids, ", "), ") AND k.purpose = '"+purposeSecret+"' AND k.expires_at <= ", arg{now()}); err != nil {
			return err
		}
		st := s.statement()
		// The time again: a code that was being spent may be kept for longer by now.
		st.add("DELETE FROM tokens WHERE id IN (", strings.Join(ids, ", "), ") AND expires_at <= ", arg{now()})
		return tx.write(ctx, st)
	})
	return len(ids), err
}
