package console

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

const healthPath = root + "health"

// silentAfter is how long a client may say nothing before the page marks it: the slowest
// of them synchronize once a day, and people have weekends.
const silentAfter = 4 * 24 * time.Hour

// A span is how far back the traffic is shown, and in which steps.
type span struct {
	Value, Text  string
	length, step time.Duration
}

var spans = []span{
	{"1h", "Last hour", time.Hour, 2 * time.Minute},
	{"24h", "Last day", 24 * time.Hour, 30 * time.Minute},
	{"7d", "Last week", 7 * 24 * time.Hour, 4 * time.Hour},
}

// spanOf is the span that a visit asks for, or else the first.
func spanOf(v *visit) span {
	for _, s := range spans {
		if v.FormValue("since") == s.Value {
			return s
		}
	}
	return spans[0]
}

// health is what the page shows.
type health struct {
	Clients     []clientRow
	Spans       []tab
	At          string // the path of the present one
	Traffic     traffic
	Watchers    []*musterv1.Watcher
	Webhooks    []webhookRow
	Stale       stale
	SilentAfter string
}

// A clientRow is when a client was heard of last.
type clientRow struct {
	credentialRow

	Last time.Time // zero: never
}

// Silent tells whether it was in touch once, and is no longer.
func (r *clientRow) Silent() bool {
	return !r.Last.IsZero() && !r.Expired() && time.Since(r.Last) > silentAfter
}

// traffic is what clients have asked in a span.
type traffic struct {
	trafficTimes

	Charts []chart
	Total  *musterv1.TrafficSeries // nil: there was none
	Of     []trafficRow
}

// trafficTimes are the steps that traffic is counted in.
type trafficTimes struct {
	From   time.Time
	Step   time.Duration
	Steps  int
	Period string // in words
}

// at is the number of the step that a bucket is of.
func (t *trafficTimes) at(b *musterv1.TrafficBucket) int {
	return int(b.GetTime().AsTime().Sub(t.From) / t.Step)
}

// A trafficRow is the traffic of one credential through one door.
type trafficRow struct {
	*musterv1.TrafficSeries

	Name  string
	Path  string // of the credential; empty: there is none of this name any more
	Door  string
	Chart chart
}

// Failing tells whether some requests did not succeed.
func (r trafficRow) Failing() bool { return errorsOf(r.GetSum()) > 0 }

// showHealth shows how clients, followers and groups are.
func showHealth(v *visit) error {
	at := spanOf(v)
	view := health{At: at.path(), SilentAfter: ageText(silentAfter)}
	for _, s := range spans {
		view.Spans = append(view.Spans, tab{s.Text, s.path()})
	}
	var err error
	if view.Clients, err = v.clients(); err != nil {
		return err
	}
	if view.Traffic, err = v.traffic(at, view.Clients); err != nil {
		return err
	}
	watchers, err := v.activity.ListWatchers(v.Context(), &musterv1.ListWatchersRequest{})
	if err != nil {
		return err
	}
	view.Watchers = watchers.GetWatchers()
	webhooks, err := v.subscriptions.ListSubscriptions(v.Context(), &musterv1.ListSubscriptionsRequest{})
	if err != nil {
		return err
	}
	for _, s := range webhooks.GetSubscriptions() {
		view.Webhooks = append(view.Webhooks, webhookRowOf(s))
	}
	if view.Stale, err = v.stale(staleShown, ""); err != nil {
		return err
	}
	return v.show("health", page{Title: "Health", Section: "health", Data: view})
}

func (s span) path() string { return healthPath + "?since=" + s.Value }

// clients are the credentials of the tenant, with their last use.
func (v *visit) clients() ([]clientRow, error) {
	out, err := v.credentials.ListCredentials(v.Context(), &musterv1.ListCredentialsRequest{})
	if err != nil {
		return nil, err
	}
	var rows []clientRow
	for _, c := range out.GetCredentials() {
		row := clientRow{credentialRow: credentialRowOf(c)}
		if at, ok := timeOf(c.GetLastUse().GetTime()); ok {
			row.Last = at
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// hear makes the last contact as late as the traffic says: the last use is noted but once
// a minute.
func (r *clientRow) hear(all []*musterv1.TrafficSeries) {
	for _, s := range all {
		if n := len(s.GetBuckets()); n > 0 && s.GetCredential() == r.GetName() {
			if at := s.GetBuckets()[n-1].GetTime().AsTime(); at.After(r.Last) {
				r.Last = at
			}
		}
	}
}

// traffic counts the requests of a span: all together, and by credential.
func (v *visit) traffic(of span, clients []clientRow) (traffic, error) {
	ask := &musterv1.GetTrafficRequest{StartTime: timestamppb.New(time.Now().Add(-of.length)), Step: durationpb.New(of.step), Total: true, UnknownTenant: v.seesUnknown()}
	total, err := v.activity.GetTraffic(v.Context(), ask)
	if err != nil {
		return traffic{}, err
	}
	from := total.GetStartTime().AsTime()
	steps := int((total.GetEndTime().AsTime().Sub(from) + of.step - 1) / of.step)
	view := traffic{trafficTimes: trafficTimes{From: from, Step: of.step, Steps: steps, Period: of.Text}}
	if len(total.GetSeries()) == 0 {
		return view, nil
	}
	view.Total = total.GetSeries()[0]
	times := &view.trafficTimes
	view.Charts = []chart{requestsChart(times, view.Total), errorsChart(times, view.Total), latencyChart(times, view.Total)}

	// The steps are those of the total, whatever the time is by now.
	ask.Total, ask.StartTime, ask.EndTime = false, total.GetStartTime(), total.GetEndTime()
	each, err := v.activity.GetTraffic(v.Context(), ask)
	if err != nil {
		return view, err
	}
	paths := make(map[string]string)
	for i := range clients {
		paths[clients[i].GetName()] = clients[i].Path
		clients[i].hear(each.GetSeries())
	}
	for _, s := range each.GetSeries() {
		row := trafficRow{TrafficSeries: s, Name: s.GetCredential(), Path: paths[s.GetCredential()], Door: doorNames[s.GetDoor()], Chart: requestsChart(times, s)}
		if row.Name == "" {
			row.Name = "nobody known"
		}
		row.Chart.Text = row.Name + " by " + row.Door + ": " + row.Chart.Text
		view.Of = append(view.Of, row)
	}
	return view, nil
}

var doorNames = map[musterv1.Door]string{musterv1.Door_DOOR_REST: "REST", musterv1.Door_DOOR_GRPC: "gRPC"}

// ageText is a number of days in words.
func ageText(d time.Duration) string { return plural(int(d.Hours()/24), "day", "days") }
