package console

import (
	"fmt"
	"time"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// chartHeight is what the highest bar of a chart has; each bar is one unit wide. The page
// stretches both to the room that there is.
const chartHeight = 100

// A chart is bars along the time, drawn as SVG: the same for all browsers, and with no
// script. Whoever does not see it is told its text; its numbers stand in a table.
type chart struct {
	Title string
	Sum   string // what all bars say together
	Text  string
	Most  string // what the highest bar says
	Width int
	Bars  []bar
	Parts []layer // what colours mean, from the foot up
}

// A bar is one step of the time, of parts that stand upon each other.
type bar struct {
	At    int
	Text  string
	Parts []barPart
}

// A barPart is a rectangle. Its class says its colour.
type barPart struct {
	Class     string
	Y, Height float64
}

// A layer is a part that all bars of a chart have.
type layer struct {
	Class, Text string
	of          func(*musterv1.TrafficBucket) float64
}

// draw fills in the bars of a series. Steps without requests have none.
func (c *chart) draw(t *trafficTimes, buckets []*musterv1.TrafficBucket, text func(*musterv1.TrafficBucket) string, layers ...layer) {
	most := 0.0
	for _, b := range buckets {
		if sum := sumOf(b, layers); sum > most {
			most, c.Most = sum, text(b)
		}
	}
	c.Width, c.Parts = t.Steps, layers
	for _, b := range buckets {
		if most == 0 {
			break
		}
		drawn := bar{At: t.at(b), Text: b.GetTime().AsTime().UTC().Format("2 Jan 15:04 UTC: ") + text(b)}
		y := float64(chartHeight)
		for _, l := range layers {
			if height := l.of(b) / most * chartHeight; height > 0 {
				height = max(height, 1) // so that little is seen, too
				y = max(y-height, 0)
				drawn.Parts = append(drawn.Parts, barPart{l.Class, y, height})
			}
		}
		c.Bars = append(c.Bars, drawn)
	}
	c.Text = fmt.Sprintf("%s, %s: %s", c.Title, t.Period, c.Sum)
	if c.Most != "" {
		c.Text += fmt.Sprintf("; at most %s in %s", c.Most, spell(t.Step))
	}
}

func sumOf(b *musterv1.TrafficBucket, layers []layer) (sum float64) {
	for _, l := range layers {
		sum += l.of(b)
	}
	return sum
}

// requestsChart is how many requests there were, those that succeeded below.
func requestsChart(t *trafficTimes, s *musterv1.TrafficSeries) chart {
	c := chart{Title: "Requests", Sum: number(s.GetSum().GetRequests())}
	c.draw(t, s.GetBuckets(), func(b *musterv1.TrafficBucket) string { return number(b.GetRequests()) },
		layer{"usual", "succeeded", func(b *musterv1.TrafficBucket) float64 { return float64(b.GetRequests() - errorsOf(b)) }},
		layer{"failing", "did not", func(b *musterv1.TrafficBucket) float64 { return float64(errorsOf(b)) }})
	return c
}

// errorsChart is which part of the requests did not succeed: the client's fault, and the
// server's.
func errorsChart(t *trafficTimes, s *musterv1.TrafficSeries) chart {
	share := func(n, of int64) float64 { return float64(n) / float64(max(of, 1)) }
	c := chart{Title: "Errors", Sum: errorRate(s.GetSum())}
	c.draw(t, s.GetBuckets(), errorRate,
		layer{"failing", "5xx, of the server", func(b *musterv1.TrafficBucket) float64 { return share(b.GetServerErrors(), b.GetRequests()) }},
		layer{"warning", "4xx, of the client", func(b *musterv1.TrafficBucket) float64 { return share(b.GetClientErrors(), b.GetRequests()) }})
	return c
}

// latencyChart is how long requests took: half of them, and 95 of 100.
func latencyChart(t *trafficTimes, s *musterv1.TrafficSeries) chart {
	c := chart{Title: "Time to answer", Sum: tookOf(s.GetSum().GetP95())}
	half := func(b *musterv1.TrafficBucket) float64 { return b.GetP50().AsDuration().Seconds() }
	c.draw(t, s.GetBuckets(), func(b *musterv1.TrafficBucket) string { return tookOf(b.GetP95()) },
		layer{"usual", "half of them", half},
		layer{"soft", "95 of 100", func(b *musterv1.TrafficBucket) float64 { return b.GetP95().AsDuration().Seconds() - half(b) }})
	return c
}

func errorsOf(b *musterv1.TrafficBucket) int64 { return b.GetClientErrors() + b.GetServerErrors() }

// errorRate is which part of the requests did not succeed, in words.
func errorRate(b *musterv1.TrafficBucket) string {
	rate := 100 * float64(errorsOf(b)) / float64(max(b.GetRequests(), 1))
	switch {
	case rate == 0:
		return "0 %"
	case rate < 0.1:
		return "< 0.1 %"
	}
	return decimal(float64(int(rate*10+0.5))/10) + " %"
}

// spell is the length of a step in words.
func spell(d time.Duration) string {
	if d >= time.Hour {
		return plural(int(d.Hours()), "hour", "hours")
	}
	return plural(int(d.Minutes()), "minute", "minutes")
}
