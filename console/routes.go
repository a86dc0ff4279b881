package console

import "net/http"

// A route is one thing that a browser can ask for.
type route struct {
	pattern string // as http.ServeMux has it, without /console
	needs   right
	handle  func(*visit) error
}

// routes says of each what it asks of the operator. The core decides in the end; this
// refuses earlier, and a test walks it as every role.
var routes = []route{
	{"GET /{$}", look, showOverview},
	{"POST /theme", open, setTheme},
	{"GET /keys", look, showKeys},

	{"GET /signin", open, showSignIn},
	{"POST /signin", open, signInByLink},
	{"GET /signin/start", open, startSignIn},
	{"GET /oidc/callback", open, finishOIDC},
	{"GET /saml/metadata", open, showSAMLMetadata},
	{"POST /saml/acs", open, finishSAML},
	{"POST /signout", open, signOut},
	{"GET /tenant", look, askTenant},
	{"POST /tenant", look, setTenant},

	{"GET /users", look, listUsers},
	{"GET /users-live", look, followUsers},
	{"GET /users/{id}", look, showUser},
	{"GET /users/{id}/deactivate", write, askDeactivate},
	{"POST /users/{id}/deactivate", write, deactivate},
	{"GET /users/{id}/activate", write, askActivate},
	{"POST /users/{id}/activate", write, activate},

	{"GET /groups", look, listGroups},
	{"GET /groups-live", look, followGroups},
	{"GET /groups/{id}", look, showGroup},
	{"GET /groups/{id}/members/{member}/remove", write, askRemoveMember},
	{"POST /groups/{id}/members/{member}/remove", write, removeMember},

	{"GET /credentials", look, listCredentials},
	{"GET /credentials-refused", look, followRefusals},
	{"GET /connect", administer, showConnect},
	{"POST /connect", administer, createCredential},
	{"GET /credentials/{name}", look, showCredential},
	{"GET /credentials/{name}/connect", look, showConnected},
	{"GET /credentials/{name}/connection", look, followConnection},
	{"GET /credentials/{name}/preview", look, showPreview},
	{"GET /credentials/{name}/edit", administer, editCredential},
	{"POST /credentials/{name}/edit", administer, updateCredential},
	{"GET /credentials/{name}/rotate", administer, askRotate},
	{"POST /credentials/{name}/rotate", administer, rotate},
	{"GET /credentials/{name}/revoke", administer, askRevoke},
	{"POST /credentials/{name}/revoke", administer, revoke},
	{"GET /credentials/{name}/to-live", administer, askLive},
	{"POST /credentials/{name}/to-live", administer, makeLive},
	{"GET /credentials/{name}/to-preview", administer, askPreview},
	{"POST /credentials/{name}/to-preview", administer, makePreview},

	{"GET /schemas", look, listSchemas},
	{"GET /schemas-new", administer, newSchema},
	{"POST /schemas-new", administer, register},
	{"GET /schemas/{name}", look, showSchema},
	{"GET /schemas/{name}/remove", administer, askUnregister},
	{"POST /schemas/{name}/remove", administer, unregister},

	{"GET /tenants", survey, listTenants},
	{"GET /tenants-new", govern, newTenant},
	{"POST /tenants-new", govern, createTenant},
	{"GET /tenants/{name}", survey, showTenant},
	{"POST /tenants/{name}", govern, updateTenant},
	{"GET /tenants/{name}/suspend", govern, askSuspend},
	{"POST /tenants/{name}/suspend", govern, suspendTenant},
	{"GET /tenants/{name}/resume", govern, askResume},
	{"POST /tenants/{name}/resume", govern, resumeTenant},
	{"GET /tenants/{name}/delete", govern, askDeleteTenant},
	{"POST /tenants/{name}/delete", govern, deleteTenant},
	{"GET /activity", look, showActivity},
	{"GET /activity/stream", look, followActivity},
	{"GET /activity/export", look, exportActivity},
	{"GET /activity/changes", look, showChanges},
	{"GET /activity/changes/stream", look, followChanges},
	{"GET /activity/recordings", look, listRecordings},
	{"GET /activity/recordings/start", administer, askRecording},
	{"POST /activity/recordings/start", administer, startRecording},
	{"GET /activity/recordings/{id}/stop", administer, askStopRecording},
	{"POST /activity/recordings/{id}/stop", administer, stopRecording},
	{"GET /activity/recordings/{id}/delete", administer, askDeleteRecording},
	{"POST /activity/recordings/{id}/delete", administer, deleteRecording},
	{"GET /activity/recordings/{id}/export", look, exportRecording},
	{"GET /activity/requests/{id}", look, showExchange},

	{"GET /health", look, showHealth},
	{"GET /health/stale", look, listStale},
	{"GET /health/stale/delete", administer, askCleanStale},
	{"POST /health/stale/delete", administer, cleanStale},

	{"GET /settings", look, showServer},
	{"GET /settings/sessions", look, listSessions},
	{"POST /settings/sessions/link", administer, createLink},
	{"GET /settings/sessions/{id}/end", administer, askEndSession},
	{"POST /settings/sessions/{id}/end", administer, endSession},
	{"GET /settings/sign-in", look, listProviders},
	{"GET /settings/sign-in-new", administer, newProvider},
	{"POST /settings/sign-in-new", administer, setProvider},
	{"GET /settings/sign-in/{name}", administer, showProvider},
	{"POST /settings/sign-in/{name}", administer, setProvider},
	{"GET /settings/sign-in/{name}/delete", administer, askDeleteProvider},
	{"POST /settings/sign-in/{name}/delete", administer, deleteProvider},
	{"GET /settings/webhooks", look, listWebhooks},
	{"GET /settings/webhooks-new", administer, newWebhook},
	{"POST /settings/webhooks-new", administer, createWebhook},
	{"GET /settings/webhooks/{name}", look, showWebhook},
	{"POST /settings/webhooks/{name}/pause", administer, pauseWebhook},
	{"POST /settings/webhooks/{name}/retry", administer, retryLetters},
	{"GET /settings/webhooks/{name}/discard", administer, askDiscardLetters},
	{"POST /settings/webhooks/{name}/discard", administer, discardLetters},
	{"GET /settings/webhooks/{name}/skip", administer, askSkip},
	{"POST /settings/webhooks/{name}/skip", administer, skip},
	{"GET /settings/webhooks/{name}/delete", administer, askDeleteWebhook},
	{"POST /settings/webhooks/{name}/delete", administer, deleteWebhook},

	{"GET /audit", look, showAudit},
	{"GET /audit/verify", look, verifyAudit},
	{"GET /audit/export", look, exportAudit},
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
