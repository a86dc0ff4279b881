package console

import (
	"cmp"
	"log/slog"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// A deed is what a route does, as the audit log knows it. The core records what it is asked
// to do with the name of the operator; what is refused here is never asked of it, so it is
// told.
type deed struct {
	method       string // the RPC
	resourceType string // of what it is about
}

// subject is what a visit is about, as the audit log names it, as far as its path says.
func (d deed) subject(v *visit) string {
	name := v.PathValue("name")
	if name == "" || d.resourceType == "Tenant" || d.resourceType == "" {
		return cmp.Or(v.PathValue("id"), name)
	}
	return v.session.Tenant + "/" + name
}

// noteRefused puts into the audit log that the operator's role does not allow a deed. The
// operator is told that in any case.
func (v *visit) noteRefused() {
	err := v.noteDeed("", true)
	if status.Code(err) != codes.PermissionDenied {
		v.log.LogAttrs(v.Context(), slog.LevelWarn, "a refusal is not in the audit log", slog.String("request_id", v.id), slog.Any("cause", err))
	}
}

// noteDownload puts into the audit log that what the terms ask for is downloaded: to the
// core it looks as if it were read page by page.
func (v *visit) noteDownload(t terms) error {
	detail := "downloaded"
	if t.Narrowed() {
		detail += ", narrowed to " + strings.TrimPrefix(t.Query(), "?")
	}
	return v.noteDeed(detail[:min(len(detail), maxNoted)], false)
}

// maxNoted is how many characters of what a download was narrowed to are noted.
const maxNoted = 500

func (v *visit) noteDeed(detail string, refused bool) error {
	_, err := v.operators.NoteDeed(v.Context(), &musterv1.NoteDeedRequest{
		Method: strings.TrimPrefix(v.does.method, "/"), ResourceType: v.does.resourceType, ResourceId: v.does.subject(v), Detail: detail, Refused: refused,
	})
	return err
}
