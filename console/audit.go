package console

import (
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

const auditPath = root + "audit"

// auditTerms are what the audit log can be narrowed by.
var auditTerms = []string{"log", termSince, "failures", termReads, "credential", "operator", "method", "type", "resource", "outcome", "preview", "address", "request", termFrom, termTo}

// auditView is what the page of the audit log shows.
type auditView struct {
	terms

	Events  []auditEntry
	Pager   pager
	Problem string
	Choices []choice // those that most people want
	Who     entry
	More    []entry // and the others
	MoreOf  []choice
	Open    bool // the others are in use
}

// An auditEntry is an event as the log shows it.
type auditEntry struct {
	historyEvent

	Name string // of what was called, in words
	Link string // to the resource
	Hash string
}

func entryOf(e *musterv1.AuditEvent) (auditEntry, error) {
	h, err := historyEventOf(e)
	if err != nil {
		return auditEntry{}, err
	}
	return auditEntry{historyEvent: h, Name: methodName(e.GetMethod()), Link: resourcePath(e.GetResourceType(), e.GetResourceId()), Hash: hex.EncodeToString(e.GetHash())}, nil
}

// methodName is the name of an RPC in words: "Create user" of ….ProvisioningService/CreateUser.
func methodName(method string) string { return label(method[strings.LastIndexByte(method, '/')+1:]) }

// resourcePath is the page of a resource; empty: it has none.
func resourcePath(resourceType, id string) string {
	switch {
	case id == "":
	case resourceType == resourceUser:
		return root + "users/" + id
	case resourceType == resourceGroup:
		return root + "groups/" + id
	}
	return ""
}

// auditRequest is what the terms ask of the core.
func (t terms) auditRequest(v *visit) *musterv1.ListAuditEventsRequest {
	req := &musterv1.ListAuditEventsRequest{
		Credential: t.Get("credential"), Operator: t.Get("operator"), Method: t.Get("method"), ResourceType: t.Get("type"), ResourceId: t.Get("resource"),
		Outcome: t.Get("outcome"), Failures: t.Has("failures"), WithoutReads: !t.Has(termReads), Address: t.Get("address"), RequestId: t.Get("request"), PageToken: t.Get(termAfter), PageSize: pageSize,
	}
	if v.session.Switches && t.Get("log") == noTenant {
		req.Tenant = noTenant
	}
	switch t.Get("preview") {
	case "yes":
		req.Preview = new(true)
	case "no":
		req.Preview = new(false)
	}
	req.StartTime, req.EndTime = t.between()
	return req
}

// termReads asks for what was only read, too. Who looks at pages reads a lot: what was done
// would be hard to find between.
const termReads = "reads"

// noTenant names the log of attempts that are of no known tenant.
const noTenant = "-"

func showAudit(v *visit) error {
	t := termsOf(v, auditPath, auditTerms...)
	view := auditView{terms: t, Open: t.Has("operator", "method", "type", "resource", "outcome", "preview", "address", "request", termFrom, termTo)}
	view.Choices = []choice{t.choice(termSince, "Time", periodOptions()...)}
	if v.session.Switches {
		view.Choices = append(view.Choices, t.choice("log", "Log", option{"", "This tenant"}, option{noTenant, "No known tenant"}))
	}
	names, err := v.credentialNames()
	if err != nil {
		return err
	}
	view.Who = t.entry("credential", "Credential", "", names...)
	view.MoreOf = []choice{t.choice("preview", "Previews", option{"", "With previews"}, option{"no", "Without previews"}, option{"yes", "Only previews"})}
	view.More = []entry{
		t.entry("operator", "Operator", "ada@example.com"), t.entry("method", "Method", "CreateUser"), t.entry("type", "Resource type", resourceUser, resourceUser, resourceGroup),
		t.entry("resource", "Resource id", ""), t.entry("outcome", "Outcome", "forbidden"), t.entry("address", "Address", "192.0.2.7"), t.entry("request", "Request id", ""),
		t.moment(termFrom, "From, UTC"), t.moment(termTo, "Until, UTC"),
	}
	next, err := v.auditEvents(t, &view)
	if problem, bad := problemOf(err); bad {
		view.Problem = problem
	} else if err != nil {
		return err
	}
	view.Pager = t.pager(plural(len(view.Events), "event", "events"), next)
	return v.show("audit", page{Title: "Audit log", Section: "audit", Data: view})
}

// auditEvents reads a page of events, and the token of the next one. Where they are rare
// it may have fewer, and yet there are more.
func (v *visit) auditEvents(t terms, view *auditView) (next string, err error) {
	req := t.auditRequest(v)
	for start := time.Now(); ; {
		out, err := v.audit.ListAuditEvents(v.Context(), req)
		if err != nil {
			return "", err
		}
		for _, e := range out.GetEvents() {
			entry, err := entryOf(e)
			if err != nil {
				return "", err
			}
			view.Events = append(view.Events, entry)
		}
		req.PageToken = out.GetNextPageToken()
		if req.GetPageToken() == "" || len(view.Events) > 0 || time.Since(start) > lookBackTime {
			return req.GetPageToken(), nil
		}
	}
}

// credentialNames are the names of the tenant's credentials, to choose from.
func (v *visit) credentialNames() ([]string, error) {
	out, err := v.credentials.ListCredentials(v.Context(), &musterv1.ListCredentialsRequest{})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, c := range out.GetCredentials() {
		names = append(names, c.GetName())
	}
	return names, nil
}

// exportAudit downloads the events that the terms ask for, in the order of the chain.
func exportAudit(v *visit) error {
	t := termsOf(v, auditPath, auditTerms...)
	if err := v.noteDownload(t); err != nil {
		return err
	}
	req := t.auditRequest(v)
	req.Order, req.PageSize, req.PageToken = musterv1.ListAuditEventsRequest_ORDER_CHAIN, 500, ""
	return v.download(fileName("audit", "jsonl"), "application/jsonl", func(w io.Writer) (int, bool, error) {
		out, err := v.audit.ListAuditEvents(v.Context(), req)
		req.PageToken = out.GetNextPageToken()
		if err == nil {
			err = WriteEvents(w, out.GetEvents())
		}
		return len(out.GetEvents()), req.GetPageToken() != "", err
	})
}

// verification is what computing the chain again has found.
type verification struct {
	*musterv1.VerifyAuditLogResponse

	Head    string // to be kept elsewhere
	Asked   string // the head that was to be in the chain
	Problem string // of that head
}

// verifyAudit computes the chain of the audit log again. With a head that somebody kept
// it also tells whether that is still in it.
func verifyAudit(v *visit) error {
	req := &musterv1.VerifyAuditLogRequest{}
	view := verification{VerifyAuditLogResponse: &musterv1.VerifyAuditLogResponse{}, Asked: strings.TrimSpace(v.FormValue("head"))}
	p := page{Title: "Verification of the audit log", Section: "audit", Crumbs: []crumb{{"Audit log", auditPath}}}
	if view.Asked != "" {
		if req.Head = headOf(view.Asked); req.GetHead() == nil {
			view.Problem = "A head is a number, a colon, and 64 hexadecimal digits."
			p.Data = view
			return v.show("verify", p)
		}
	}
	out, err := v.audit.VerifyAuditLog(v.Context(), req)
	if err != nil {
		return err
	}
	view.VerifyAuditLogResponse = out
	if h := out.GetHead(); h.GetSequence() > 0 {
		view.Head = fmt.Sprintf("%d:%x", h.GetSequence(), h.GetHash())
	}
	p.Data = view
	return v.show("verify", p)
}

// headOf reads a head as a verification writes it; nil: it is none.
func headOf(text string) *musterv1.AuditHead {
	number, digits, _ := strings.Cut(text, ":")
	sequence, err := strconv.ParseInt(number, 10, 64)
	hash, bad := hex.DecodeString(digits)
	if err != nil || bad != nil || sequence < 1 || len(hash) != 32 {
		return nil
	}
	return &musterv1.AuditHead{Sequence: sequence, Hash: hash}
}
