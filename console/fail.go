package console

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var errOtherSite = errors.New("the request comes from another site")

// A failure is an error as a page tells it: what happened, and what to do.
type failure struct {
	Status    int
	Title     string
	Text      string // what happened
	Advice    string // what to do
	RequestID string // for the log, where somebody else has to look
}

// signInPath is where an operator signs in, to come back to where he was.
func signInPath(back string) string {
	return root + "signin?" + url.Values{"return": {back}}.Encode()
}

// fail answers with a page that tells the error.
func (v *visit) fail(err error) {
	if errors.Is(err, errSignedOut) || status.Code(err) == codes.Unauthenticated {
		v.signIn()
		return
	}
	f := failureOf(err)
	if f.RequestID = v.id; f.Status >= http.StatusInternalServerError && v.Context().Err() == nil {
		v.log.LogAttrs(v.Context(), slog.LevelError, "internal error", slog.String("path", v.URL.Path), slog.String("request_id", v.id), slog.String("cause", err.Error()))
	}
	if err := v.show("error", page{Title: f.Title, Status: f.Status, Data: f}); err != nil {
		v.log.Error("the error page", "cause", err)
		http.Error(v.w, f.Title, f.Status)
	}
}

// signIn sends to the sign-in page whoever has no session, or one that ended. A script is
// told by the status, and loads the page anew.
func (v *visit) signIn() {
	if v.asks() != "" || v.Header.Get("Accept") == "text/event-stream" {
		http.Error(v.w, "sign in again", http.StatusUnauthorized)
		return
	}
	back := root
	if v.Method == http.MethodGet || v.Method == http.MethodHead {
		back = v.URL.RequestURI()
	}
	_ = v.redirect(signInPath(back))
}

// failureOf makes a failure of an error, most often one of the core.
func failureOf(err error) failure {
	var large *http.MaxBytesError
	switch {
	case errors.Is(err, errNoPage):
		return failure{Status: http.StatusNotFound, Title: "There is no such page", Text: "The address leads nowhere.", Advice: "Go on from the navigation, or search for a user."}
	case errors.Is(err, errMayNot):
		return failure{Status: http.StatusForbidden, Title: "Your role cannot do this", Text: "What you asked for is not open to your role.", Advice: "An administrator can do it, or give you another role."}
	case errors.Is(err, errOtherSite):
		return failure{Status: http.StatusForbidden, Title: "This came from another site", Text: "A page elsewhere made your browser send this. Nothing was done.", Advice: "If you meant to do it, do it from here."}
	case errors.As(err, &large):
		return failure{Status: http.StatusRequestEntityTooLarge, Title: "That is too large", Text: fmt.Sprintf("A form may have at most %d bytes.", large.Limit), Advice: "Go back, and send less."}
	}
	s := status.Convert(err)
	f := failure{Text: s.Message()}
	switch s.Code() {
	case codes.NotFound:
		f.Status, f.Title, f.Advice = http.StatusNotFound, "Not found", "It may have been deleted since. Search for it, or look into the audit log."
	case codes.PermissionDenied:
		f.Status, f.Title, f.Advice = http.StatusForbidden, "You may not do this", "An administrator can do it, or give you another role."
	case codes.InvalidArgument, codes.OutOfRange:
		f.Status, f.Title, f.Advice = http.StatusBadRequest, "That could not be understood", "Go back, and change what you entered."
	case codes.AlreadyExists, codes.FailedPrecondition, codes.Aborted:
		f.Status, f.Title, f.Advice = http.StatusConflict, "That is not possible as things are", "Go back, and look at what there is now."
	case codes.ResourceExhausted:
		f.Status, f.Title, f.Advice = http.StatusTooManyRequests, "Too much at once", "Wait a moment, and try again."
	case codes.Unavailable, codes.DeadlineExceeded:
		f.Status, f.Title, f.Advice = http.StatusServiceUnavailable, "Not to be had now", "Wait a moment, and try again."
	case codes.Unimplemented:
		f.Status, f.Title, f.Advice = http.StatusNotImplemented, "This server cannot do that", "It may be of another version."
	default:
		f = failure{Status: http.StatusInternalServerError, Title: "Something broke here", Text: "It is not your fault.", Advice: "Try again. If it stays so, the server's log has the cause beside this request id."}
	}
	return f
}

// problemOf is what to tell beside a field whose value the core does not take. It says
// false where the error is about something else.
func problemOf(err error) (string, bool) {
	s := status.Convert(err)
	if err == nil || s.Code() != codes.InvalidArgument {
		return "", false
	}
	return s.Message(), true
}

// reasonOf is the reason of an error of the core, as in ErrorInfo, or "".
func reasonOf(err error) string {
	for _, d := range status.Convert(err).Details() {
		if about, ok := d.(*errdetails.ErrorInfo); ok {
			return about.GetReason()
		}
	}
	return ""
}

// isInput tells whether an error is about what was entered, or about how things are, so
// that the form is shown again with it.
func isInput(err error) bool {
	switch status.Code(err) {
	case codes.InvalidArgument, codes.AlreadyExists, codes.FailedPrecondition, codes.Aborted, codes.OutOfRange:
		return true
	default:
		return false
	}
}

// messageOf is what an error of the core tells.
func messageOf(err error) string { return status.Convert(err).Message() }
