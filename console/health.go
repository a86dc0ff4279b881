package console

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

const healthPath = root + "health"

// healthView is what the page of health shows.
type healthView struct {
	Clients  []clientHealth
	Total    *musterv1.TrafficBucket
	Buckets  []*musterv1.TrafficBucket
	Chart    template.HTML
	Watchers []*musterv1.Watcher
}

// A clientHealth is how a credential is doing.
type clientHealth struct {
	Name string
	Last *timestamppb.Timestamp // when it was used last; nil: never
	Sum  *musterv1.TrafficBucket
}

// Errors are how many of its requests failed.
func (c clientHealth) Errors() int64 { return c.Sum.GetClientErrors() + c.Sum.GetServerErrors() }

// healthStep is the time of one bar of the chart; the page shows a day.
const healthStep = 30 * time.Minute

func showHealth(v *visit) error {
	from := timestamppb.New(time.Now().Add(-24 * time.Hour))
	step := durationpb.New(healthStep)
	each, err := v.activity.GetTraffic(v.Context(), &musterv1.GetTrafficRequest{StartTime: from, Step: step})
	if err != nil {
		return err
	}
	total, err := v.activity.GetTraffic(v.Context(), &musterv1.GetTrafficRequest{StartTime: from, Step: step, Total: true})
	if err != nil {
		return err
	}
	known, err := v.credentials.ListCredentials(v.Context(), &musterv1.ListCredentialsRequest{})
	if err != nil {
		return err
	}
	watchers, err := v.activity.ListWatchers(v.Context(), &musterv1.ListWatchersRequest{})
	if err != nil {
		return err
	}
	view := healthView{Watchers: watchers.GetWatchers(), Clients: clientsOf(known.GetCredentials(), each.GetSeries()), Total: &musterv1.TrafficBucket{}}
	if all := total.GetSeries(); len(all) > 0 {
		view.Total, view.Buckets = all[0].GetSum(), all[0].GetBuckets()
	}
	view.Chart = trafficChart(view.Buckets, total.GetStartTime().AsTime())
	return v.show("health", page{Title: "Health", Section: "health", Data: view})
}

// clientsOf are the credentials, the one that was used last first.
func clientsOf(known []*musterv1.Credential, series []*musterv1.TrafficSeries) []clientHealth {
	var all []clientHealth
	for _, c := range known {
		h := clientHealth{Name: c.GetName(), Last: c.GetLastUse().GetTime(), Sum: &musterv1.TrafficBucket{}}
		for _, s := range series { // one for each door
			if s.GetCredential() != c.GetName() {
				continue
			}
			h.Sum.Requests += s.GetSum().GetRequests()
			h.Sum.ClientErrors += s.GetSum().GetClientErrors()
			h.Sum.ServerErrors += s.GetSum().GetServerErrors()
			if h.Sum.P95.AsDuration() < s.GetSum().GetP95().AsDuration() {
				h.Sum.P95 = s.GetSum().GetP95()
			}
			// The last use is noted but once a minute; traffic may know of a later one.
			if n := len(s.GetBuckets()); n > 0 && h.Last.GetSeconds() < s.GetBuckets()[n-1].GetTime().GetSeconds() {
				h.Last = s.GetBuckets()[n-1].GetTime()
			}
		}
		all = append(all, h)
	}
	slices.SortFunc(all, func(a, b clientHealth) int { return cmp.Compare(b.Last.GetSeconds(), a.Last.GetSeconds()) })
	return all
}

// The chart, in units of its own.
const (
	chartWidth, chartHeight = 480, 80
	chartBars               = int(24*time.Hour/healthStep) + 1
)

// trafficChart draws how many requests there were, and how many of them failed. Its text
// tells the sum; a table beside it has the numbers.
func trafficChart(buckets []*musterv1.TrafficBucket, start time.Time) template.HTML {
	var most, requests, errors int64
	for _, b := range buckets {
		most = max(most, b.GetRequests())
		requests += b.GetRequests()
		errors += b.GetClientErrors() + b.GetServerErrors()
	}
	var out strings.Builder
	fmt.Fprintf(&out, `<svg class="chart" role="img" aria-label="Requests of the last 24 hours by half hours: %s, of which %s failed." viewBox="0 0 %d %d" preserveAspectRatio="none">`, number(requests), number(errors), chartWidth, chartHeight)
	width := float64(chartWidth) / float64(chartBars)
	for _, b := range buckets {
		x := float64(b.GetTime().AsTime().Sub(start)/healthStep) * width
		for _, bar := range []struct {
			class string
			n     int64
		}{{"chart-all", b.GetRequests()}, {"chart-bad", b.GetClientErrors() + b.GetServerErrors()}} {
			height := float64(bar.n) / float64(max(most, 1)) * chartHeight
			fmt.Fprintf(&out, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, bar.class, x, chartHeight-height, width-1, height)
		}
	}
	out.WriteString("</svg>")
	return template.HTML(out.String()) //nolint:gosec // numbers and words of our own
}
