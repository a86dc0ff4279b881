package console

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// credential is the credential that the path names.
func (v *visit) credential() (credentialRow, error) {
	out, err := v.credentials.GetCredential(v.Context(), &musterv1.GetCredentialRequest{Name: v.PathValue("name")})
	return credentialRowOf(out.GetCredential()), err
}

// credentialView is what the page of a credential shows.
type credentialView struct {
	credentialRow
	history

	Connection *connection
	Previewed  *previewReport // nil: it is live
}

func showCredential(v *visit) error {
	c, err := v.credential()
	if err != nil {
		return err
	}
	view := credentialView{credentialRow: c}
	if c.Is.Choice != "" {
		if view.Connection, _, err = v.connection(v.Context(), c); err != nil {
			return err
		}
	}
	if c.Preview() {
		if view.Previewed, err = v.previewCounts(c, 1); err != nil {
			return err
		}
	}
	if view.history, err = v.deedsOn(v.Context(), c.GetTenant()+"/"+c.GetName()); err != nil {
		return err
	}
	return v.show("credential", page{Title: c.GetName(), Section: "credentials", Crumbs: []crumb{{"SCIM configuration", credentialsPath}}, Data: view})
}

// askCredential asks before a deed on a credential.
func (v *visit) askCredential(c credentialRow, q question) error {
	q.Back = c.Path
	return v.ask(page{Section: "credentials", Crumbs: []crumb{{"SCIM configuration", credentialsPath}, {c.GetName(), c.Path}}}, q)
}

// overlaps are how long the present secret of a credential can stay good.
var overlaps = []option{{"24h", "a day"}, {"168h", "a week"}, {"720h", "30 days"}, {"1h", "an hour"}, {"0s", "not at all: it ends now"}}

func askRotate(v *visit) error {
	c, err := v.credential()
	if err != nil {
		return err
	}
	return v.askCredential(c, question{
		Title: "Give " + c.GetName() + " another secret?", Button: "Make another secret",
		Text:   "The new secret is shown once. Put it into the client, where the present one stands now.",
		Choose: &choice{Name: "overlap", Label: "The present secret stays valid for", Options: overlaps},
	})
}

func rotate(v *visit) error {
	overlap, err := time.ParseDuration(v.FormValue("overlap"))
	if err != nil {
		overlap = 24 * time.Hour
	}
	out, err := v.credentials.RotateCredential(v.Context(), &musterv1.RotateCredentialRequest{Name: v.PathValue("name"), Overlap: durationpb.New(overlap)})
	if err != nil {
		return err
	}
	done := "This is the new secret. The old one is not good any more."
	if overlap > 0 {
		done = "This is the new secret. The old one stays good until " + time.Now().Add(overlap).UTC().Format("2 Jan 2006, 15:04 UTC") + "."
	}
	return v.showConnection(out.GetCredential(), out.GetSecret(), done)
}

func askRevoke(v *visit) error {
	c, err := v.credential()
	if err != nil {
		return err
	}
	points := []string{"Its client is refused from its next request on.", "It cannot be undone: a new credential has a new secret."}
	if c.Is.Word == "oauth" {
		points = append(points, "All access and refresh tokens that were issued to it end.")
	}
	if used := c.GetLastUse().GetTime(); used != nil {
		points = append(points, "It was last used "+ago(time.Since(used.AsTime()))+" from "+c.GetLastUse().GetAddress()+".")
	}
	return v.askCredential(c, question{Title: "Revoke " + c.GetName() + "?", Button: "Revoke", Danger: true, Text: "Users and groups stay as they are.", Points: points})
}

func revoke(v *visit) error {
	name := v.PathValue("name")
	if _, err := v.credentials.RevokeCredential(v.Context(), &musterv1.RevokeCredentialRequest{Name: name}); err != nil {
		return err
	}
	return v.done(credentialsPath, name+" is revoked. What its client sends from now on is refused, and shown below.")
}

func askLive(v *visit) error {
	c, err := v.credential()
	if err != nil {
		return err
	}
	return v.askCredential(c, question{
		Title: "Make " + c.GetName() + " live?", Button: "Make it live",
		Text:   "From its next request on, what its client writes is kept.",
		Points: []string{"What it wrote in the preview is gone, and so are the ids that it was given.", "Let the client run a full synchronization then."},
	})
}

func askPreview(v *visit) error {
	c, err := v.credential()
	if err != nil {
		return err
	}
	return v.askCredential(c, question{
		Title: "Switch " + c.GetName() + " to preview?", Button: "Switch to preview",
		Text:   "From its next request on, what its client writes is checked and answered as before, and not kept.",
		Points: []string{"You can look at what would have changed.", "Until it is live again, nobody is provisioned or deprovisioned by it."},
	})
}

func makeLive(v *visit) error { return v.setMode(musterv1.Credential_MODE_LIVE, "is live.") }

func makePreview(v *visit) error {
	return v.setMode(musterv1.Credential_MODE_PREVIEW, "is in preview: nothing that it writes is kept.")
}

func (v *visit) setMode(mode musterv1.Credential_Mode, done string) error {
	out, err := v.credentials.UpdateCredential(v.Context(), &musterv1.UpdateCredentialRequest{
		Credential: &musterv1.Credential{Name: v.PathValue("name"), Mode: mode}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"mode"}},
	})
	if err != nil {
		return err
	}
	c := credentialRowOf(out.GetCredential())
	return v.done(c.Path, c.GetName()+" "+done)
}

// formOf is the form with what a credential has.
func formOf(c credentialRow) *credentialForm {
	f := &credentialForm{
		Name: c.GetName(), Kind: c.Is, Path: c.Path, Networks: strings.Join(c.GetNetworks(), "\n"), Scope: "other", Scopes: strings.Join(c.GetScopes(), " "),
		Redirects: strings.Join(c.GetOauth().GetRedirectUris(), "\n"), Keys: c.GetOauth().GetJwks(),
		Issuer: c.GetIssuer().GetIssuer(), Audience: c.GetIssuer().GetAudience(), Algorithms: strings.Join(c.GetIssuer().GetAlgorithms(), " "), RequiredScope: c.GetIssuer().GetRequiredScope(),
	}
	if c.GetExpireTime() != nil {
		f.Expires = c.GetExpireTime().AsTime().UTC().Format(time.DateOnly)
	}
	for _, s := range scopeChoices {
		if f.Scopes == s.Scope {
			f.Scope, f.Scopes = s.Scope, ""
		}
	}
	return f
}

func editCredential(v *visit) error {
	c, err := v.credential()
	if err != nil {
		return err
	}
	return v.showForm(formOf(c), nil)
}

// updateCredential sets what the form can change. The expiry stays to the second where
// its day is the same.
func updateCredential(v *visit) error {
	c, err := v.credential()
	if err != nil {
		return err
	}
	f := v.readForm(c.Is)
	f.Name, f.Path = c.GetName(), c.Path
	asked, err := f.credential()
	if err != nil {
		return v.showForm(f, err)
	}
	paths := []string{"scopes", "networks"}
	if f.Expires != formOf(c).Expires {
		paths = append(paths, "expire_time")
	}
	switch c.Is.Kind {
	case musterv1.Credential_KIND_OAUTH:
		paths = append(paths, "oauth.redirect_uris")
		if c.GetOauth().GetJwks() != "" {
			paths = append(paths, "oauth.jwks")
		}
	case musterv1.Credential_KIND_ISSUER:
		paths = append(paths, "issuer")
	default:
		asked.OfKind = nil
	}
	asked.Kind = musterv1.Credential_KIND_UNSPECIFIED
	_, err = v.credentials.UpdateCredential(v.Context(), &musterv1.UpdateCredentialRequest{Credential: asked, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
	if isInput(err) {
		return v.showForm(f, err)
	}
	if err != nil {
		return err
	}
	return v.done(c.Path, c.GetName()+" is changed, with effect from its next request.")
}
