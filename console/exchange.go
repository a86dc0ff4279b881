package console

import (
	"cmp"
	"encoding/json"
	"html/template"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// An exchangeLine is a request in a list.
type exchangeLine struct {
	*musterv1.LoggedExchange

	What string // method and path, or the name of the RPC
	Why  string // of an error
	Who  string
	Took string
}

func lineOf(e *musterv1.LoggedExchange) exchangeLine {
	return exchangeLine{LoggedExchange: e, What: whatOf(e), Why: whyOf(e), Who: cmp.Or(e.GetOperator(), e.GetCredential(), e.GetAddress()), Took: tookOf(e.GetTook())}
}

// whatOf is what a request asks for.
func whatOf(e *musterv1.LoggedExchange) string {
	if e.GetPath() == "" {
		return strings.TrimPrefix(e.GetMethod(), "muster.v1.")
	}
	return e.GetMethod() + " " + e.GetPath()
}

// whyOf is why a request did not succeed, as short as can be.
func whyOf(e *musterv1.LoggedExchange) string {
	if !failed(e) {
		return ""
	}
	if text := causes[e.GetCause()]; text != "" {
		return text
	}
	return cmp.Or(e.GetDetail(), e.GetReason(), e.GetCode())
}

func failed(e *musterv1.LoggedExchange) bool { return e.GetStatus() >= 400 }

// Failed tells whether the request did not succeed.
func (l exchangeLine) Failed() bool { return failed(l.LoggedExchange) }

// causes are why somebody was not let in, in a few words.
var causes = map[musterv1.LoggedExchange_Cause]string{
	musterv1.LoggedExchange_CAUSE_NO_CREDENTIAL:  "no credential was shown",
	musterv1.LoggedExchange_CAUSE_MALFORMED:      "the Authorization header is malformed",
	musterv1.LoggedExchange_CAUSE_UNKNOWN_SECRET: "the secret is not known here",
	musterv1.LoggedExchange_CAUSE_REVOKED:        "the credential was revoked",
	musterv1.LoggedExchange_CAUSE_ROTATED:        "the secret was replaced by a newer one",
	musterv1.LoggedExchange_CAUSE_EXPIRED:        "the credential has expired",
	musterv1.LoggedExchange_CAUSE_WRONG_SCHEME:   "the secret is right, and was shown in the wrong way",
	musterv1.LoggedExchange_CAUSE_WRONG_LOGIN:    "the password is right, and the login is not",
	musterv1.LoggedExchange_CAUSE_OUTSIDE_TOKEN:  "the token of the outside issuer is not accepted",
	musterv1.LoggedExchange_CAUSE_WRONG_ADDRESS:  "the credential may not be used from this address",
	musterv1.LoggedExchange_CAUSE_WRONG_TENANT:   "the base URL names another tenant",
	musterv1.LoggedExchange_CAUSE_SUSPENDED:      "the tenant is suspended",
	musterv1.LoggedExchange_CAUSE_LACKS_SCOPE:    "the credential lacks a scope",
	musterv1.LoggedExchange_CAUSE_THROTTLED:      "too many failed attempts from the address",
	musterv1.LoggedExchange_CAUSE_PREVIEW:        "a preview credential cannot administer",
}

// tookOf is how long something took, to three digits.
func tookOf(d *durationpb.Duration) string {
	if d == nil {
		return ""
	}
	return duration(d.AsDuration())
}

func duration(d time.Duration) string {
	switch {
	case d >= 100*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 0, 64) + " s"
	case d >= time.Second:
		return strconv.FormatFloat(d.Seconds(), 'g', 3, 64) + " s"
	case d < 100*time.Microsecond:
		return "<0.1 ms"
	}
	return strconv.FormatFloat(float64(d.Microseconds())/1000, 'g', 3, 64) + " ms"
}

// exchangeView is what the page of one request shows.
type exchangeView struct {
	exchangeLine
	history // what it did

	Kind                          string
	RequestHeader, AnswerHeader   []field
	RequestBody, AnswerBody       template.HTML
	RequestCut, AnswerCut, Bodies bool
	Link                          string // to what it was about
}

func showExchange(v *visit) error {
	out, err := v.activity.GetExchange(v.Context(), &musterv1.GetExchangeRequest{Id: v.PathValue("id")})
	if err != nil {
		return err
	}
	e := out.GetExchange()
	view := exchangeView{exchangeLine: lineOf(e), Kind: "", Link: resourcePath(e.GetResourceType(), e.GetResourceId()), Bodies: e.GetExchange() != nil}
	for _, k := range exchangeKinds {
		if k.kind == e.GetKind() {
			view.Kind = k.text
		}
	}
	if x := e.GetExchange(); x != nil {
		view.RequestHeader, view.AnswerHeader = headerFields(x.GetRequestHeader()), headerFields(x.GetAnswerHeader())
		view.RequestBody, view.AnswerBody = prettyJSON(x.GetRequestBody()), prettyJSON(x.GetAnswerBody())
		view.RequestCut, view.AnswerCut = x.GetRequestCut(), x.GetAnswerCut()
	}
	if view.history, err = v.eventsOf(e); err != nil {
		return err
	}
	return v.show("exchange", page{Title: view.What, Section: "activity", Crumbs: []crumb{{"Activity", activityPath}}, Data: view})
}

// eventsOf are what a request did, as the audit log has it. The log is looked at only
// round its time, which an index finds.
func (v *visit) eventsOf(e *musterv1.LoggedExchange) (history, error) {
	if e.GetRequestId() == "" {
		return history{}, nil
	}
	at := e.GetTime().AsTime()
	return v.history(v.Context(), &musterv1.ListAuditEventsRequest{
		RequestId: e.GetRequestId(), PageSize: maxEventsShown,
		StartTime: timestamppb.New(at.Add(-time.Minute)), EndTime: timestamppb.New(at.Add(e.GetTook().AsDuration() + time.Minute)),
	})
}

// headerFields are the fields of a header, by name.
func headerFields(header map[string]string) []field {
	var all []field
	for name, value := range header {
		all = append(all, field{name, value})
	}
	slices.SortFunc(all, func(a, b field) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// prettyJSON is JSON as a reader likes it, with what is a name, a text, a number marked.
// What is no JSON, because it was cut, stays as it is.
func prettyJSON(text string) template.HTML {
	if text == "" {
		return ""
	}
	var value json.RawMessage
	if json.Unmarshal([]byte(text), &value) != nil {
		return template.HTML(template.HTMLEscapeString(text)) //nolint:gosec // it is escaped
	}
	indented, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return template.HTML(template.HTMLEscapeString(text)) //nolint:gosec // it is escaped
	}
	return colored(string(indented))
}
