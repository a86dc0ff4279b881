package console

import (
	"net/http"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// A route is one thing that a browser can ask for.
type route struct {
	pattern string // as http.ServeMux has it, without /console
	needs   right
	handle  func(*visit) error
	does    deed
}

// nothing is what a route does that only shows something, or changes the browser alone.
var nothing deed

// routes says of each what it asks of the operator. The core decides in the end; this
// refuses earlier, and a test walks it as every role. Another does each deed, and looks for
// it in the audit log.
var routes = []route{
	{"GET /{$}", look, showOverview, nothing},
	{"POST /theme", open, setTheme, nothing},
	{"GET /keys", look, showKeys, nothing},

	{"GET /signin", open, showSignIn, nothing},
	{"POST /signin", open, signInByLink, deed{musterv1.OperatorService_SignIn_FullMethodName, "Session"}},
	{"GET /signin/start", open, startSignIn, nothing},
	{"GET /oidc/callback", open, finishOIDC, deed{musterv1.OperatorService_SignIn_FullMethodName, "Session"}},
	{"GET /saml/metadata", open, showSAMLMetadata, nothing},
	{"POST /saml/acs", open, finishSAML, deed{musterv1.OperatorService_SignIn_FullMethodName, "Session"}},
	{"POST /signout", open, signOut, deed{musterv1.OperatorService_EndSession_FullMethodName, "Session"}},
	{"GET /tenant", look, askTenant, nothing},
	{"POST /tenant", look, setTenant, deed{musterv1.TenantService_GetTenant_FullMethodName, "Tenant"}},

	{"GET /users", look, listUsers, nothing},
	{"GET /users-live", look, followUsers, nothing},
	{"GET /users/{id}", look, showUser, nothing},
	{"GET /users/{id}/deactivate", write, askDeactivate, nothing},
	{"POST /users/{id}/deactivate", write, deactivate, deed{musterv1.ProvisioningService_PatchUser_FullMethodName, resourceUser}},
	{"GET /users/{id}/activate", write, askActivate, nothing},
	{"POST /users/{id}/activate", write, activate, deed{musterv1.ProvisioningService_PatchUser_FullMethodName, resourceUser}},

	{"GET /groups", look, listGroups, nothing},
	{"GET /groups-live", look, followGroups, nothing},
	{"GET /groups/{id}", look, showGroup, nothing},
	{"GET /groups/{id}/members/{member}/remove", write, askRemoveMember, nothing},
	{"POST /groups/{id}/members/{member}/remove", write, removeMember, deed{musterv1.ProvisioningService_PatchGroup_FullMethodName, resourceGroup}},

	{"GET /credentials", look, listCredentials, nothing},
	{"GET /credentials-refused", look, followRefusals, nothing},
	{"GET /connect", administer, showConnect, nothing},
	{"POST /connect", administer, createCredential, deed{musterv1.CredentialService_CreateCredential_FullMethodName, "Credential"}},
	{"GET /credentials/{name}", look, showCredential, nothing},
	{"GET /credentials/{name}/connect", look, showConnected, nothing},
	{"GET /credentials/{name}/connection", look, followConnection, nothing},
	{"GET /credentials/{name}/preview", look, showPreview, nothing},
	{"GET /credentials/{name}/edit", administer, editCredential, nothing},
	{"POST /credentials/{name}/edit", administer, updateCredential, deed{musterv1.CredentialService_UpdateCredential_FullMethodName, "Credential"}},
	{"GET /credentials/{name}/rotate", administer, askRotate, nothing},
	{"POST /credentials/{name}/rotate", administer, rotate, deed{musterv1.CredentialService_RotateCredential_FullMethodName, "Credential"}},
	{"GET /credentials/{name}/revoke", administer, askRevoke, nothing},
	{"POST /credentials/{name}/revoke", administer, revoke, deed{musterv1.CredentialService_RevokeCredential_FullMethodName, "Credential"}},
	{"GET /credentials/{name}/to-live", administer, askLive, nothing},
	{"POST /credentials/{name}/to-live", administer, makeLive, deed{musterv1.CredentialService_UpdateCredential_FullMethodName, "Credential"}},
	{"GET /credentials/{name}/to-preview", administer, askPreview, nothing},
	{"POST /credentials/{name}/to-preview", administer, makePreview, deed{musterv1.CredentialService_UpdateCredential_FullMethodName, "Credential"}},

	{"GET /schemas", look, listSchemas, nothing},
	{"GET /schemas-new", administer, newSchema, nothing},
	{"POST /schemas-new", administer, register, deed{musterv1.RegistryService_Register_FullMethodName, ""}},
	{"GET /schemas/{name}", look, showSchema, nothing},
	{"GET /schemas/{name}/remove", administer, askUnregister, nothing},
	{"POST /schemas/{name}/remove", administer, unregister, deed{musterv1.RegistryService_Unregister_FullMethodName, ""}},

	{"GET /tenants", survey, listTenants, nothing},
	{"GET /tenants-new", govern, newTenant, nothing},
	{"POST /tenants-new", govern, createTenant, deed{musterv1.TenantService_CreateTenant_FullMethodName, "Tenant"}},
	{"GET /tenants/{name}", survey, showTenant, nothing},
	{"POST /tenants/{name}", govern, updateTenant, deed{musterv1.TenantService_UpdateTenant_FullMethodName, "Tenant"}},
	{"GET /tenants/{name}/suspend", govern, askSuspend, nothing},
	{"POST /tenants/{name}/suspend", govern, suspendTenant, deed{musterv1.TenantService_SuspendTenant_FullMethodName, "Tenant"}},
	{"GET /tenants/{name}/resume", govern, askResume, nothing},
	{"POST /tenants/{name}/resume", govern, resumeTenant, deed{musterv1.TenantService_ResumeTenant_FullMethodName, "Tenant"}},
	{"GET /tenants/{name}/delete", govern, askDeleteTenant, nothing},
	{"POST /tenants/{name}/delete", govern, deleteTenant, deed{musterv1.TenantService_DeleteTenant_FullMethodName, "Tenant"}},
	{"GET /activity", look, showActivity, nothing},
	{"GET /activity/stream", look, followActivity, nothing},
	{"GET /activity/export", look, exportActivity, deed{musterv1.ActivityService_ListExchanges_FullMethodName, ""}},
	{"GET /activity/changes", look, showChanges, nothing},
	{"GET /activity/changes/stream", look, followChanges, nothing},
	{"GET /activity/recordings", look, listRecordings, nothing},
	{"GET /activity/recordings/start", administer, askRecording, nothing},
	{"POST /activity/recordings/start", administer, startRecording, deed{musterv1.RecordingService_StartRecording_FullMethodName, ""}},
	{"GET /activity/recordings/{id}/stop", administer, askStopRecording, nothing},
	{"POST /activity/recordings/{id}/stop", administer, stopRecording, deed{musterv1.RecordingService_StopRecording_FullMethodName, ""}},
	{"GET /activity/recordings/{id}/delete", administer, askDeleteRecording, nothing},
	{"POST /activity/recordings/{id}/delete", administer, deleteRecording, deed{musterv1.RecordingService_DeleteRecording_FullMethodName, ""}},
	{"GET /activity/recordings/{id}/export", look, exportRecording, deed{musterv1.RecordingService_ExportRecording_FullMethodName, ""}},
	{"GET /activity/requests/{id}", look, showExchange, nothing},

	{"GET /health", look, showHealth, nothing},
	{"GET /health/stale", look, listStale, nothing},
	{"GET /health/stale/delete", administer, askCleanStale, nothing},
	{"POST /health/stale/delete", administer, cleanStale, deed{musterv1.ActivityService_DeleteStaleGroups_FullMethodName, resourceGroup}},

	{"GET /settings", look, showServer, nothing},
	{"GET /settings/sessions", look, listSessions, nothing},
	{"POST /settings/sessions/link", administer, createLink, deed{musterv1.OperatorService_CreateLoginLink_FullMethodName, "LoginLink"}},
	{"GET /settings/sessions/{id}/end", administer, askEndSession, nothing},
	{"POST /settings/sessions/{id}/end", administer, endSession, deed{musterv1.OperatorService_RevokeSession_FullMethodName, "Session"}},
	{"GET /settings/sign-in", look, listProviders, nothing},
	{"GET /settings/sign-in-new", administer, newProvider, nothing},
	{"POST /settings/sign-in-new", administer, setProvider, deed{musterv1.OperatorService_SetSignInProvider_FullMethodName, "SignInProvider"}},
	{"GET /settings/sign-in/{name}", administer, showProvider, nothing},
	{"POST /settings/sign-in/{name}", administer, setProvider, deed{musterv1.OperatorService_SetSignInProvider_FullMethodName, "SignInProvider"}},
	{"GET /settings/sign-in/{name}/delete", administer, askDeleteProvider, nothing},
	{"POST /settings/sign-in/{name}/delete", administer, deleteProvider, deed{musterv1.OperatorService_DeleteSignInProvider_FullMethodName, "SignInProvider"}},
	{"GET /settings/webhooks", look, listWebhooks, nothing},
	{"GET /settings/webhooks-new", administer, newWebhook, nothing},
	{"POST /settings/webhooks-new", administer, createWebhook, deed{musterv1.SubscriptionService_CreateSubscription_FullMethodName, "Subscription"}},
	{"GET /settings/webhooks/{name}", look, showWebhook, nothing},
	{"POST /settings/webhooks/{name}/pause", administer, pauseWebhook, deed{musterv1.SubscriptionService_UpdateSubscription_FullMethodName, "Subscription"}},
	{"POST /settings/webhooks/{name}/retry", administer, retryLetters, deed{musterv1.SubscriptionService_RetryDeadLetters_FullMethodName, "Subscription"}},
	{"GET /settings/webhooks/{name}/discard", administer, askDiscardLetters, nothing},
	{"POST /settings/webhooks/{name}/discard", administer, discardLetters, deed{musterv1.SubscriptionService_DiscardDeadLetters_FullMethodName, "Subscription"}},
	{"GET /settings/webhooks/{name}/skip", administer, askSkip, nothing},
	{"POST /settings/webhooks/{name}/skip", administer, skip, deed{musterv1.SubscriptionService_ReplaySubscription_FullMethodName, "Subscription"}},
	{"GET /settings/webhooks/{name}/delete", administer, askDeleteWebhook, nothing},
	{"POST /settings/webhooks/{name}/delete", administer, deleteWebhook, deed{musterv1.SubscriptionService_DeleteSubscription_FullMethodName, "Subscription"}},

	{"GET /audit", look, showAudit, nothing},
	{"GET /audit/verify", look, verifyAudit, deed{musterv1.AuditService_VerifyAuditLog_FullMethodName, ""}},
	{"GET /audit/export", look, exportAudit, deed{musterv1.AuditService_ListAuditEvents_FullMethodName, ""}},
}

// mux serves the routes and the assets.
func (c *Console) mux() *http.ServeMux {
	mux := http.NewServeMux()
	for _, rt := range routes {
		method, path := cutPattern(rt.pattern)
		mux.HandleFunc(method+" "+root+path, func(w http.ResponseWriter, r *http.Request) { c.serve(w, r, rt) })
	}
	mux.HandleFunc("GET "+root+"assets/", serveAsset)
	mux.HandleFunc(root, func(w http.ResponseWriter, r *http.Request) {
		c.serve(w, r, route{needs: look, handle: func(*visit) error { return errNoPage }})
	})
	return mux
}
