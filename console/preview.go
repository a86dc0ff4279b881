package console

import (
	"encoding/json"
	"slices"
	"strings"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// Limits of the report of a preview.
const (
	maxPreviewCounted = 5000
	previewPage       = 1000 // the most that the core lists at once
)

// A previewReport is what a credential would have changed, had it been live.
type previewReport struct {
	credentialRow

	Counts []previewCount
	Total  int
	Failed int
	// More: there is more than was counted.
	More   bool
	Events []previewEvent // one page of them, the newest first
	Pager  pager
}

// A previewCount is how often one thing would have been done.
type previewCount struct {
	Type, Deed string
	Count      int
}

// A previewEvent is one thing that would have been done.
type previewEvent struct {
	historyEvent

	Name string
}

// showPreview shows the report of a credential.
func showPreview(v *visit) error {
	c, err := v.credential()
	if err != nil {
		return err
	}
	report, err := v.previewCounts(c, maxPreviewCounted/previewPage)
	if err != nil {
		return err
	}
	err = v.previewEvents(report, v.URL.Query().Get("after"))
	if isPageGone(err) {
		return v.redirect(v.URL.Path)
	}
	if err != nil {
		return err
	}
	return v.show("preview", page{
		Title: "What " + c.GetName() + " would have changed", Section: "credentials",
		Crumbs: []crumb{{"SCIM configuration", credentialsPath}, {c.GetName(), c.Path}}, Data: report,
	})
}

// previewCounts counts what some pages of the audit log have of a credential.
func (v *visit) previewCounts(c credentialRow, pages int) (*previewReport, error) {
	r := &previewReport{credentialRow: c}
	only := true
	ask := &musterv1.ListAuditEventsRequest{Credential: c.GetName(), StartTime: c.GetCreateTime(), Preview: &only, PageSize: previewPage}
	counts := map[previewCount]int{}
	for range pages {
		out, err := v.audit.ListAuditEvents(v.Context(), ask)
		if err != nil {
			return nil, err
		}
		for _, e := range out.GetEvents() {
			r.count(counts, e)
		}
		ask.PageToken = out.GetNextPageToken()
		if r.More = ask.GetPageToken() != ""; !r.More {
			break
		}
	}
	for of, n := range counts {
		of.Count = n
		r.Counts = append(r.Counts, of)
	}
	slices.SortFunc(r.Counts, func(a, b previewCount) int {
		return strings.Compare(a.Type+" "+a.Deed, b.Type+" "+b.Deed)
	})
	return r, nil
}

// count counts an event.
func (r *previewReport) count(counts map[previewCount]int, e *musterv1.AuditEvent) {
	r.Total++
	if e.GetOutcome() != "ok" {
		r.Failed++
		return
	}
	deed := deedOf(e.GetMethod())
	if e.GetChanges() == "" {
		deed = "sent, and found as it is"
	}
	counts[previewCount{Type: e.GetResourceType(), Deed: deed}]++
}

// previewEvents reads the page of events that is shown.
func (v *visit) previewEvents(r *previewReport, after string) error {
	only := true
	out, err := v.audit.ListAuditEvents(v.Context(), &musterv1.ListAuditEventsRequest{Credential: r.GetName(), StartTime: r.GetCreateTime(), Preview: &only, PageSize: pageSize, PageToken: after})
	if err != nil {
		return err
	}
	for _, e := range out.GetEvents() {
		if e.GetOutcome() == "ok" && e.GetChanges() == "" {
			continue
		}
		h, err := historyEventOf(e)
		if err != nil {
			return err
		}
		r.Events = append(r.Events, previewEvent{h, nameInChanges(e)})
	}
	l := listing{Path: r.Path + "/preview", After: after}
	r.Pager = l.pager("", out.GetNextPageToken())
	return nil
}

// nameInChanges is what people call the resource that an event is about, as far as it
// says, or else its id.
func nameInChanges(e *musterv1.AuditEvent) string {
	var of struct {
		Attributes map[string]struct {
			Before any `json:"before"`
			After  any `json:"after"`
		} `json:"attributes"`
	}
	if json.Unmarshal([]byte(e.GetChanges()), &of) != nil {
		return e.GetResourceId()
	}
	for _, attribute := range []string{"userName", "displayName"} {
		for _, value := range []any{of.Attributes[attribute].After, of.Attributes[attribute].Before} {
			if name, ok := value.(string); ok && name != "" {
				return name
			}
		}
	}
	return e.GetResourceId()
}
