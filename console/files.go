package console

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/simulate"
)

// An exportedEvent is a line of the exported audit log.
type exportedEvent struct {
	Sequence     int64           `json:"sequence"`
	Time         time.Time       `json:"time"`
	Tenant       int64           `json:"tenantId"`
	Method       string          `json:"method"`
	ResourceType string          `json:"resourceType,omitempty"`
	ResourceID   string          `json:"resourceId,omitempty"`
	Outcome      string          `json:"outcome"`
	Detail       string          `json:"detail,omitempty"`
	Preview      bool            `json:"preview,omitempty"`
	Credential   string          `json:"credential,omitempty"`
	Operator     string          `json:"operator,omitempty"`
	Address      string          `json:"address,omitempty"`
	Client       string          `json:"client,omitempty"`
	RequestID    string          `json:"requestId"`
	Changes      json.RawMessage `json:"changes,omitempty"`
	Hash         string          `json:"hash"`
}

// WriteEvents writes events of the audit log as JSON, one a line. The page of the log and
// the command export write the same.
func WriteEvents(w io.Writer, events []*musterv1.AuditEvent) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false) // changes stay as they were hashed
	for _, e := range events {
		line := exportedEvent{
			e.GetSequence(), e.GetTime().AsTime(), e.GetTenantId(), e.GetMethod(), e.GetResourceType(), e.GetResourceId(), e.GetOutcome(), e.GetDetail(), e.GetPreview(),
			e.GetCredential(), e.GetOperator(), e.GetAddress(), e.GetClient(), e.GetRequestId(), json.RawMessage(e.GetChanges()), hex.EncodeToString(e.GetHash()),
		}
		if err := out.Encode(line); err != nil {
			return err
		}
	}
	return nil
}

// WriteRecording writes a whole recording as the file that muster simulate replay plays.
func WriteRecording(w io.Writer, r *musterv1.Recording, exchanges []*musterv1.Exchange) error {
	started := r.GetStartTime().AsTime()
	file := &simulate.Case{Credential: r.GetCredential(), Started: started, Redacted: r.GetRedacted()}
	for _, e := range exchanges {
		file.Exchanges = append(file.Exchanges, simulate.CaseExchange{
			At: e.GetTime().AsTime().Sub(started), Refused: e.GetRefused(),
			Request: simulate.CaseRequest{Method: e.GetMethod(), Path: e.GetPath(), Header: e.GetRequestHeader(), Body: e.GetRequestBody(), Cut: e.GetRequestCut()},
			Answer:  simulate.CaseAnswer{Status: int(e.GetStatus()), Header: e.GetAnswerHeader(), Body: e.GetAnswerBody(), Cut: e.GetAnswerCut(), Took: e.GetTook().AsDuration()},
		})
	}
	return file.Write(w)
}

// maxDownload is how many lines a page writes into one file; the commands write more.
const maxDownload = 100_000

// download answers with a file, page by page: each writes its part, and says how many
// lines it was and whether there is more. Once the answer has begun an error can only
// cut it off, so that the browser says the download failed.
func (v *visit) download(name, mediaType string, page func(w io.Writer) (lines int, more bool, err error)) error {
	control := http.NewResponseController(v.w)
	for written, begun := 0, false; ; begun = true {
		var part partBuffer
		lines, more, err := page(&part)
		if err != nil && !begun {
			return err
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		if !begun {
			v.w.Header().Set("Content-Type", mediaType)
			v.w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
		}
		if err := control.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
			return err
		}
		if _, err := v.w.Write(part); err != nil {
			return nil //nolint:nilerr // the browser is gone
		}
		if written += lines; !more || written >= maxDownload {
			return nil
		}
	}
}

// A partBuffer is the part of a file that is written at once.
type partBuffer []byte

func (b *partBuffer) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}

// fileName is a name for a file that is made now.
func fileName(what, end string) string {
	return fmt.Sprintf("muster-%s-%s.%s", what, time.Now().UTC().Format("20060102-150405"), end)
}
