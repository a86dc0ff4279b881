package server

import (
	"regexp"
	"slices"
	"strings"

	"github.com/muster-scim/muster/store"
)

// A hint says what to mend, and where, to somebody who sets up a client and has not read
// the RFCs. It belongs to the exchanges that meet all of its conditions; those that are
// empty are met by any.
type hint struct {
	cause    cause
	statuses []int
	reasons  []string
	kinds    []string
	path     *regexp.Regexp // of the path without the query
	writes   bool
	text     string
}

// hintFor is the first hint that fits; empty: there is none.
func hintFor(e *store.Exchange) string {
	if e.Status < 400 {
		return ""
	}
	for i := range hints {
		if hints[i].fits(e) {
			return hints[i].text
		}
	}
	return ""
}

func (h *hint) fits(e *store.Exchange) bool {
	path, _, _ := strings.Cut(e.Path, "?")
	return (h.cause == "" || string(h.cause) == e.Cause) &&
		(len(h.statuses) == 0 || slices.Contains(h.statuses, e.Status)) &&
		(len(h.reasons) == 0 || slices.Contains(h.reasons, e.Reason)) &&
		(len(h.kinds) == 0 || slices.Contains(h.kinds, e.Kind)) &&
		(h.path == nil || e.Door == store.REST && h.path.MatchString(path)) &&
		(!h.writes || e.Writes)
}

// hints are tried in this order: why somebody was not let in, then what is wrong with the
// address, and then what is wrong with what was sent.
var hints = slices.Concat(credentialHints, addressHints, contentHints, serverHints)

var credentialHints = []hint{
	{cause: causeNoCredential, text: "The request shows no credential. In CyberArk choose an Authorization Type and fill in its fields; a proxy on the way must pass the Authorization header on."},
	{cause: causeMalformed, text: "The Authorization header cannot be read. For Bearer Token paste the secret alone, on one line, without quotes; for Basic give login and password each in its own field."},
	{cause: causeUnknownSecret, text: "What is in CyberArk's field is no secret of this server: it may be cut off, of another environment, or of a database that was set up anew. Rotate the credential (or make one), paste the new secret whole, and verify again."},
	{cause: causeRevoked, text: "This credential was revoked. Make another one, paste its secret in CyberArk, and verify again. If nobody should come in any more, remove the provisioning settings there."},
	{cause: causeRotated, text: "This is the old secret of a credential that was rotated, and the time in which both were good is over. Paste the new secret in CyberArk; if it is lost, rotate once more."},
	{cause: causeExpired, text: "The credential, or its access token, has expired. Give the credential a later end, or make another one and paste its secret in CyberArk; with OAuth 2.0 let CyberArk get a new token."},
	{cause: causeWrongScheme, text: "The secret is right, but was sent in another way than its credential is for. In CyberArk choose the Authorization Type that fits the kind of the credential (Bearer Token, Basic, Direct), or make a credential of the kind that is chosen there."},
	{cause: causeWrongLogin, text: "The password is right and the login is not. In CyberArk's field for the user name enter the login that was shown when the credential was made."},
	{cause: causeOutsideToken, text: "The token of the identity provider is not accepted; the detail says why. Compare its issuer, audience and scopes with those of the credential."},
	{cause: causeWrongAddress, text: "The credential is right, but may not be used from this address. Add the address to the credential's networks. If it is a proxy's, name the proxy in --trusted-proxies, so that the client's own address is seen."},
	{cause: causeWrongTenant, text: "The SCIM Service URL names another tenant than that of the credential. Correct /t/NAME in the URL, or leave it out: the credential says which tenant it is."},
	{cause: causeSuspended, text: "The tenant is suspended: nobody is let in until an administrator resumes it. Nothing has to be changed in CyberArk."},
	{cause: causeLacksScope, text: "The credential is right, but lacks the scope that the detail names. Provisioning needs the scope scim: give it to the credential, or make one that has it."},
	{cause: causePreview, text: "The credential is in preview mode, which administers nothing. Use one that is live."},
	{cause: causeThrottled, text: "There were too many attempts with wrong credentials from this address, so this one was not looked at. Stop the client, correct its credential, wait a minute, and verify again."},
}

var addressHints = []hint{
	{statuses: []int{404}, path: regexp.MustCompile(`(?i)^/+(scim/+v2/+){2,}`), text: "The SCIM Service URL has /scim/v2 twice. In CyberArk it ends with one /scim/v2."},
	{statuses: []int{404}, path: regexp.MustCompile(`/ServiceProviderConfigs$`), text: "Nothing to mend: the client asks whether this is SCIM 1.1, and goes on with SCIM 2.0."},
	{statuses: []int{404}, path: regexp.MustCompile(`(?i)^/+scim/+v1`), text: "The SCIM Service URL is that of SCIM 1.1. In CyberArk it ends in /scim/v2."},
	{statuses: []int{404}, path: regexp.MustCompile(`(?i)^/+(Users|Groups|Bulk|Schemas|ResourceTypes|ServiceProviderConfig|\.search)(/|$)`), text: "The SCIM Service URL lacks /scim/v2. In CyberArk it is the address of this server and then /scim/v2, with nothing after it."},
	{statuses: []int{404}, path: regexp.MustCompile(`(?i)^/+(scim|v2|scim2)(/+(Users|Groups|Bulk|Schemas|ResourceTypes|ServiceProviderConfig).*)?/*$`), text: "The SCIM Service URL is cut or of another form. In CyberArk it is the address of this server and then /scim/v2, with nothing after it."},
	{statuses: []int{404}, path: regexp.MustCompile(`^/+SCIM|^/+Scim|^/+scim/+V2`), text: "The SCIM Service URL is in other letter case than /scim/v2. Write it in small letters in CyberArk."},
	{statuses: []int{404}, path: regexp.MustCompile(`^/+scim/+v2/+[a-z][A-Za-z]*(/|$)`), text: "The client asks for a path in other letter case than the server has it, such as /users for /Users. Correct the path where the client is set up."},
	{statuses: []int{404}, kinds: []string{kindUsers, kindGroups, kindResources}, text: "The client asks for something that is not here (any more): it was deleted, the database was set up anew, or the credential is of another tenant than before. A full synchronization in CyberArk finds out what is there."},
	{statuses: []int{404}, path: regexp.MustCompile(`^/*$`), text: "Somebody looked at the bare address. In CyberArk the SCIM Service URL is this address and then /scim/v2."},
	{statuses: []int{404}, kinds: []string{kindUnknown}, text: "There is nothing at this path. In CyberArk the SCIM Service URL is the address of this server and then /scim/v2, with nothing after it."},
	{statuses: []int{405}, text: "There is such a path, but not for this method. Most often the SCIM Service URL has too much at its end: it ends in /scim/v2."},
	{statuses: []int{501}, text: "The client asks for a part of SCIM that this server does not have; /ServiceProviderConfig tells what there is. Switch it off where the client is set up."},
}

var contentHints = []hint{
	{statuses: []int{409}, reasons: []string{"uniqueness"}, kinds: []string{kindUsers}, text: "Another user here has the same userName, or another value that must be unique. Look for that user: if it is the same person, a synchronization in CyberArk that finds it by userName updates it; if not, give one of the two another login name in CyberArk."},
	{statuses: []int{409}, reasons: []string{"uniqueness"}, text: "Another resource here has a value that must be unique; the detail names the attribute. Change it in CyberArk, or remove the other resource."},
	{statuses: []int{400}, reasons: []string{"invalidSyntax"}, text: "The body cannot be read as SCIM JSON. A proxy may have changed it; or a value in CyberArk's provisioning script has the wrong form, such as a text where a list belongs. The detail says where."},
	{statuses: []int{400}, reasons: []string{"invalidFilter"}, text: "The client searches by something that this server does not understand, most often an attribute that is not in /Schemas. Choose another attribute to find users by in CyberArk, or register the attribute here."},
	{statuses: []int{400}, reasons: []string{"invalidValue", "mutability"}, writes: true, text: "A value does not fit the attribute that the detail names: it is missing, of the wrong type, or cannot be written. Correct its mapping in CyberArk's provisioning script; \"Verify and re-detect settings\" reads the attributes again."},
	{statuses: []int{400}, reasons: []string{"invalidPath", "noTarget"}, text: "The change names something that the resource does not have. If the attribute is one of your own, register its schema here; otherwise correct the mapping in CyberArk's provisioning script."},
	{statuses: []int{400}, reasons: []string{"tooMany", "invalidCount", "invalidCursor", "expiredCursor"}, text: "The client asks for a list in a way that does not work (any more). Start the synchronization again; if it comes back, look at the page size where the client is set up."},
	{statuses: []int{412}, text: "Somebody else changed the resource since the client read it. Nothing to mend: the next synchronization repeats the change."},
	{statuses: []int{413}, text: "The request is larger than the limits allow. Send fewer members or operations in one request, or raise --max-body and the other limits of this server."},
	{statuses: []int{415}, text: "The body is not declared as application/scim+json or application/json, or is compressed. A proxy may have changed the Content-Type; no part of CyberArk sends another one."},
	{statuses: []int{403}, reasons: []string{"sensitive"}, text: "The request would put something secret into a URL. Search with POST and .search instead."},
}

var serverHints = []hint{
	{statuses: []int{429}, text: "The client sends more requests than the limits allow, and should try again after the time in Retry-After. Let it send fewer at once, or raise the limits of the tenant."},
	{statuses: []int{499}, text: "The client did not wait for the answer. If this comes often, raise its timeout; look at the latencies of this server."},
	{statuses: []int{503}, text: "The server, or its database, could not take the request at that moment. The client tries again; if it goes on, look at the server's log and the database."},
	{statuses: []int{500}, text: "The server failed; that is no fault of the client. The server's log has the cause under the request id: please report it."},
}
