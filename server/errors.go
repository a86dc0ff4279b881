package server

import (
	"context"
	"errors"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"

	"github.com/muster-scim/muster/scim"
)

// errorDomain says whose reasons those in ErrorInfo are.
const errorDomain = "muster"

// reasonCodes is the gRPC code of each reason.
var reasonCodes = map[scim.Reason]codes.Code{
	scim.Internal:        codes.Internal,
	scim.InvalidSyntax:   codes.InvalidArgument,
	scim.InvalidFilter:   codes.InvalidArgument,
	scim.InvalidPath:     codes.InvalidArgument,
	scim.InvalidValue:    codes.InvalidArgument,
	scim.InvalidVers:     codes.InvalidArgument,
	scim.TooMany:         codes.InvalidArgument,
	scim.Uniqueness:      codes.AlreadyExists,
	scim.Mutability:      codes.FailedPrecondition,
	scim.NoTarget:        codes.FailedPrecondition,
	scim.Sensitive:       codes.PermissionDenied,
	scim.NotFound:        codes.NotFound,
	scim.VersionMismatch: codes.Aborted,
	scim.PayloadTooLarge: codes.ResourceExhausted,
	scim.RateLimited:     codes.ResourceExhausted,
	scim.Unauthenticated: codes.Unauthenticated,
	scim.Forbidden:       codes.PermissionDenied,
	scim.Unavailable:     codes.Unavailable,
	scim.NotImplemented:  codes.Unimplemented,
}

// statusOf is what a client is told of an error: the reason in an ErrorInfo, and
// the attribute at fault in a field violation. Of an error that is not about the
// request it learns nothing.
func statusOf(err error) *status.Status {
	var e *scim.Error
	switch {
	case errors.As(err, &e):
	case errors.Is(err, context.Canceled):
		return status.New(codes.Canceled, "the call was cancelled")
	case errors.Is(err, context.DeadlineExceeded):
		return status.New(codes.DeadlineExceeded, "the deadline passed")
	default:
		if st, ok := status.FromError(err); ok { // of gRPC itself
			return st
		}
		e = scim.Errorf(scim.Internal, "an internal error; the server's log has its cause under the request id")
	}
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: e.Reason.String(), Domain: errorDomain}}
	if e.Attribute != "" {
		details = append(details, &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
			{Field: e.Attribute, Description: e.Detail, Reason: e.Reason.String()},
		}})
	}
	st := status.New(reasonCodes[e.Reason], e.Detail)
	if detailed, err := st.WithDetails(details...); err == nil {
		return detailed
	}
	return st
}

// isInternal tells whether the client was not told the cause.
func isInternal(err error) bool {
	code := statusOf(err).Code()
	return code == codes.Internal || code == codes.Unknown
}
