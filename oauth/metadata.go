package oauth

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"

	"github.com/muster-scim/muster/server"
)

// metadata is what there is (RFC 8414 section 2, RFC 9207 section 3).
type metadata struct {
	Issuer                string           `json:"issuer"`
	AuthorizationEndpoint string           `json:"authorization_endpoint"`
	TokenEndpoint         string           `json:"token_endpoint"`
	RevocationEndpoint    string           `json:"revocation_endpoint"`
	Scopes                []string         `json:"scopes_supported"`
	ResponseTypes         []string         `json:"response_types_supported"`
	ResponseModes         []string         `json:"response_modes_supported"`
	GrantTypes            []oidc.GrantType `json:"grant_types_supported"`
	TokenAuth             []string         `json:"token_endpoint_auth_methods_supported"`
	TokenAlgorithms       []string         `json:"token_endpoint_auth_signing_alg_values_supported"`
	RevocationAuth        []string         `json:"revocation_endpoint_auth_methods_supported"`
	RevocationAlgorithms  []string         `json:"revocation_endpoint_auth_signing_alg_values_supported"`
	ChallengeMethods      []string         `json:"code_challenge_methods_supported"`
	TellsIssuer           bool             `json:"authorization_response_iss_parameter_supported"`
}

func metadataOf(issuer string) metadata {
	auth := []string{"client_secret_basic", "client_secret_post", "private_key_jwt"}
	return metadata{
		Issuer:                issuer,
		AuthorizationEndpoint: issuer + authorizePath,
		TokenEndpoint:         issuer + tokenPath,
		RevocationEndpoint:    issuer + revokePath,
		Scopes:                []string{server.ScopeSCIM, "scim:read", "scim:write"},
		ResponseTypes:         []string{"code"},
		ResponseModes:         []string{"query"},
		GrantTypes:            []oidc.GrantType{oidc.GrantTypeClientCredentials, oidc.GrantTypeCode, oidc.GrantTypeRefreshToken},
		TokenAuth:             auth,
		TokenAlgorithms:       assertionAlgorithms,
		RevocationAuth:        auth,
		RevocationAlgorithms:  assertionAlgorithms,
		ChallengeMethods:      []string{"S256"},
		TellsIssuer:           true,
	}
}

// metadata answers at the path for the issuer: where that has a path of its own, the
// client appends it.
func (s *Server) metadata(w http.ResponseWriter, r *http.Request) {
	issuer := exchangeOf(r.Context()).issuer
	if below := strings.TrimPrefix(r.URL.Path, metadataPath); below != "" {
		u, err := url.Parse(issuer)
		if err != nil || u.Path != below {
			http.Error(w, "this server is another issuer", http.StatusNotFound)
			return
		}
	}
	data, err := json.Marshal(metadataOf(issuer))
	if err != nil {
		panic(err) // texts have a JSON form
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(data) // an error means that the client is gone
}
