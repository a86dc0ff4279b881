package server

import (
	"context"
	"errors"
	"math"
	"strconv"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

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
	scim.InvalidCursor:   codes.InvalidArgument,
	scim.ExpiredCursor:   codes.InvalidArgument,
	scim.InvalidCount:    codes.InvalidArgument,
	scim.Uniqueness:      codes.AlreadyExists,
	scim.Mutability:      codes.FailedPrecondition,
	scim.NoTarget:        codes.FailedPrecondition,
	scim.Sensitive:       codes.PermissionDenied,
	scim.NotFound:        codes.NotFound,
	scim.VersionMismatch: codes.Aborted,
	scim.Conflict:        codes.FailedPrecondition,
	scim.PayloadTooLarge: codes.ResourceExhausted,
	scim.RateLimited:     codes.ResourceExhausted,
	scim.Unauthenticated: codes.Unauthenticated,
	scim.Forbidden:       codes.PermissionDenied,
	scim.Unavailable:     codes.Unavailable,
	scim.NotImplemented:  codes.Unimplemented,
	scim.PositionGone:    codes.OutOfRange,
}

// explain is what a client is told of an error. Of one that is not about the
// request it learns nothing.
func explain(err error) *scim.Error {
	if e, ok := errors.AsType[*scim.Error](err); ok {
		return e
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return scim.Errorf(scim.Unavailable, "it took too long")
	}
	return scim.Errorf(scim.Internal, "an internal error; the server's log has its cause under the request id")
}

// Keys of ErrorInfo's metadata.
const (
	scopeMetadata     = "scope"     // the scope that the credential lacks
	attributeMetadata = "attribute" // the path of the field at fault in JSON
)

// statusOf is the status of an error of a call: what explain says, with the reason in an
// ErrorInfo, the field of the request at fault in a field violation, and when to try
// again in a RetryInfo.
func statusOf(request any, err error) *status.Status {
	if _, ours := errors.AsType[*scim.Error](err); !ours {
		if errors.Is(err, context.Canceled) {
			return status.New(codes.Canceled, "the call was cancelled")
		}
		if errors.Is(err, context.DeadlineExceeded) {
			return status.New(codes.DeadlineExceeded, "the deadline passed")
		}
		if st, ok := status.FromError(err); ok { // of gRPC itself
			return st
		}
	}
	e := explain(err)
	info := &errdetails.ErrorInfo{Reason: e.Reason.String(), Domain: errorDomain, Metadata: make(map[string]string)}
	if e.Scope != "" {
		info.Metadata[scopeMetadata] = e.Scope
	}
	details := []protoadapt.MessageV1{info}
	if field := fieldAtFault(request, e); field != "" {
		if e.Attribute != "" && e.Attribute != field {
			info.Metadata[attributeMetadata] = e.Attribute
		}
		details = append(details, &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
			{Field: field, Description: e.Detail, Reason: e.Reason.String()},
		}})
	}
	if e.RetryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(e.RetryAfter)})
	}
	st := status.New(reasonCodes[e.Reason], e.Detail)
	if detailed, err := st.WithDetails(details...); err == nil {
		return detailed
	}
	return st
}

// tellRetryAfter puts in the header when the client can try again, in seconds, where
// that is known.
func tellRetryAfter(ctx context.Context, err error) {
	if e, ok := errors.AsType[*scim.Error](err); ok && e.RetryAfter > 0 {
		seconds := strconv.FormatFloat(math.Ceil(e.RetryAfter.Seconds()), 'f', 0, 64)
		_ = grpc.SetHeader(ctx, metadata.Pairs("retry-after", seconds)) // it fails only after the header was sent
	}
}

// isInternal tells whether the client was not told the cause.
func isInternal(err error) bool {
	code := statusOf(nil, err).Code()
	return code == codes.Internal || code == codes.Unknown
}
