package console

import (
	"cmp"
	"log/slog"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// A routeDeed is what a route does, as the audit log knows it. The core records what it is
// asked to do with the name of the operator; what is refused here is never asked of it, so
// it is told.
type routeDeed struct {
	method       string // the RPC
	resourceType string // of what it is about
}

// routeDeeds are the routes that do something. Each POST has a row, and a test does them all.
var routeDeeds = map[string]routeDeed{
	"POST /users/{id}/deactivate":               {musterv1.ProvisioningService_PatchUser_FullMethodName, resourceUser},
	"POST /users/{id}/activate":                 {musterv1.ProvisioningService_PatchUser_FullMethodName, resourceUser},
	"POST /groups/{id}/members/{member}/remove": {musterv1.ProvisioningService_PatchGroup_FullMethodName, resourceGroup},
	"POST /health/stale/delete":                 {musterv1.ActivityService_DeleteStaleGroups_FullMethodName, resourceGroup},
	"POST /connect":                             {musterv1.CredentialService_CreateCredential_FullMethodName, "Credential"},
	"POST /credentials/{name}/edit":             {musterv1.CredentialService_UpdateCredential_FullMethodName, "Credential"},
	"POST /credentials/{name}/rotate":           {musterv1.CredentialService_RotateCredential_FullMethodName, "Credential"},
	"POST /credentials/{name}/revoke":           {musterv1.CredentialService_RevokeCredential_FullMethodName, "Credential"},
	"POST /credentials/{name}/to-live":          {musterv1.CredentialService_UpdateCredential_FullMethodName, "Credential"},
	"POST /credentials/{name}/to-preview":       {musterv1.CredentialService_UpdateCredential_FullMethodName, "Credential"},
	"POST /schemas-new":                         {musterv1.RegistryService_Register_FullMethodName, ""},
	"POST /schemas/{name}/remove":               {musterv1.RegistryService_Unregister_FullMethodName, ""},
	"POST /tenants-new":                         {musterv1.TenantService_CreateTenant_FullMethodName, "Tenant"},
	"POST /tenants/{name}":                      {musterv1.TenantService_UpdateTenant_FullMethodName, "Tenant"},
	"POST /tenants/{name}/suspend":              {musterv1.TenantService_SuspendTenant_FullMethodName, "Tenant"},
	"POST /tenants/{name}/resume":               {musterv1.TenantService_ResumeTenant_FullMethodName, "Tenant"},
	"POST /tenants/{name}/delete":               {musterv1.TenantService_DeleteTenant_FullMethodName, "Tenant"},
	"POST /activity/recordings/start":           {musterv1.RecordingService_StartRecording_FullMethodName, ""},
	"POST /activity/recordings/{id}/stop":       {musterv1.RecordingService_StopRecording_FullMethodName, ""},
	"POST /activity/recordings/{id}/delete":     {musterv1.RecordingService_DeleteRecording_FullMethodName, ""},
	"GET /activity/recordings/{id}/export":      {musterv1.RecordingService_ExportRecording_FullMethodName, ""},
	"GET /activity/export":                      {musterv1.ActivityService_ListExchanges_FullMethodName, ""},
	"POST /settings/sessions/link":              {musterv1.OperatorService_CreateLoginLink_FullMethodName, "LoginLink"},
	"POST /settings/sessions/{id}/end":          {musterv1.OperatorService_RevokeSession_FullMethodName, "Session"},
	"POST /settings/sign-in-new":                {musterv1.OperatorService_SetSignInProvider_FullMethodName, "SignInProvider"},
	"POST /settings/sign-in/{name}":             {musterv1.OperatorService_SetSignInProvider_FullMethodName, "SignInProvider"},
	"POST /settings/sign-in/{name}/delete":      {musterv1.OperatorService_DeleteSignInProvider_FullMethodName, "SignInProvider"},
	"POST /settings/webhooks-new":               {musterv1.SubscriptionService_CreateSubscription_FullMethodName, "Subscription"},
	"POST /settings/webhooks/{name}/pause":      {musterv1.SubscriptionService_UpdateSubscription_FullMethodName, "Subscription"},
	"POST /settings/webhooks/{name}/retry":      {musterv1.SubscriptionService_RetryDeadLetters_FullMethodName, "Subscription"},
	"POST /settings/webhooks/{name}/discard":    {musterv1.SubscriptionService_DiscardDeadLetters_FullMethodName, "Subscription"},
	"POST /settings/webhooks/{name}/skip":       {musterv1.SubscriptionService_ReplaySubscription_FullMethodName, "Subscription"},
	"POST /settings/webhooks/{name}/delete":     {musterv1.SubscriptionService_DeleteSubscription_FullMethodName, "Subscription"},
	"GET /audit/verify":                         {musterv1.AuditService_VerifyAuditLog_FullMethodName, ""},
	"GET /audit/export":                         {musterv1.AuditService_ListAuditEvents_FullMethodName, ""},
	"POST /signin":                              {musterv1.OperatorService_SignIn_FullMethodName, "Session"},
	"GET /oidc/callback":                        {musterv1.OperatorService_SignIn_FullMethodName, "Session"},
	"POST /saml/acs":                            {musterv1.OperatorService_SignIn_FullMethodName, "Session"},
	"POST /signout":                             {musterv1.OperatorService_EndSession_FullMethodName, "Session"},
	"POST /tenant":                              {musterv1.TenantService_GetTenant_FullMethodName, "Tenant"},
}

// subject is what a visit is about, as the audit log names it, as far as its path says.
func (d routeDeed) subject(v *visit) string {
	name := v.PathValue("name")
	if name == "" || d.resourceType == "Tenant" || d.resourceType == "" {
		return cmp.Or(v.PathValue("id"), name)
	}
	return v.session.Tenant + "/" + name
}

// noteRefused puts into the audit log that the operator's role does not allow a deed. The
// operator is told that in any case.
func (v *visit) noteRefused(d routeDeed) {
	err := v.noteDeed(d, "", true)
	if status.Code(err) != codes.PermissionDenied {
		v.log.LogAttrs(v.Context(), slog.LevelWarn, "a refusal is not in the audit log", slog.String("request_id", v.id), slog.Any("cause", err))
	}
}

// noteDownload puts into the audit log that what the terms ask for is downloaded: to the
// core it looks as if it were read page by page.
func (v *visit) noteDownload(pattern string, t terms) error {
	detail := "downloaded"
	if t.Narrowed() {
		detail += ", narrowed to " + strings.TrimPrefix(t.Query(), "?")
	}
	return v.noteDeed(routeDeeds[pattern], detail[:min(len(detail), maxNoted)], false)
}

// maxNoted is how many characters of what a download was narrowed to are noted.
const maxNoted = 500

func (v *visit) noteDeed(d routeDeed, detail string, refused bool) error {
	_, err := v.operators.NoteDeed(v.Context(), &musterv1.NoteDeedRequest{
		Method: strings.TrimPrefix(d.method, "/"), ResourceType: d.resourceType, ResourceId: d.subject(v), Detail: detail, Refused: refused,
	})
	return err
}
