package test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// scrape reads metrics as Prometheus does.
func scrape(t *testing.T, client *http.Client, metrics string) (text []byte, families map[string]*dto.MetricFamily) {
	t.Helper()
	res, err := client.Get(metrics)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if text, err = io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Fatalf("%d %v %v: %.300s", res.StatusCode, res.Header, err, text)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	if families, err = parser.TextToMetricFamilies(bytes.NewReader(text)); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	return text, families
}

// samples are metrics by their names and labels: of counters and gauges the value, of
// others how many there were.
func samples(families map[string]*dto.MetricFamily) map[string]float64 {
	all := make(map[string]float64)
	for name, family := range families {
		for _, m := range family.GetMetric() {
			labels := make(map[string]string)
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			var parts []string
			for _, key := range slices.Sorted(maps.Keys(labels)) {
				parts = append(parts, fmt.Sprintf("%s=%q", key, labels[key]))
			}
			key := name + "{" + strings.Join(parts, ",") + "}"
			switch family.GetType() {
			case dto.MetricType_HISTOGRAM:
				all[key] = float64(m.GetHistogram().GetSampleCount())
			case dto.MetricType_SUMMARY:
				all[key] = float64(m.GetSummary().GetSampleCount())
			default:
				all[key] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return all
}

// awaitMetrics waits until metrics are what they should be. What is not there is -1.
func awaitMetrics(t *testing.T, metrics string, want map[string]float64) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		text, families := scrape(t, http.DefaultClient, metrics)
		got, wrong := samples(families), ""
		for key, value := range want {
			is, there := got[key]
			if !there {
				is = -1
			}
			if is != value {
				wrong += fmt.Sprintf("%s is %v, want %v\n", key, is, value)
			}
		}
		if wrong == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s\n%s", wrong, regexp.MustCompile(`(?m)^(#|go_|process_).*\n`).ReplaceAll(text, nil))
		}
	}
}

const (
	provisioning = `method="muster.v1.ProvisioningService/`
	watching     = `method="muster.v1.ChangeService/WatchChanges"`
)

// What was asked through each door, and what came of it, is counted.
func TestMetrics_CountRequests(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, database string) {
		p := start(t, database, "--metrics", "127.0.0.1:0", "--failed-logins", "4")
		metrics := p.awaitLine(t, "Metrics:       ")
		var id string
		for i := range 3 {
			id = p.must(t, 201, http.MethodPost, "/Users", fmt.Sprintf(`{"userName":"user%d"}`, i))["id"].(string)
		}
		p.must(t, 404, http.MethodGet, "/Users/nobody", "")
		p.must(t, 404, http.MethodGet, "/nowhere/at/all", "")
		p.must(t, 401, http.MethodGet, "/Users", "", "Authorization", "Bearer of-nobody")
		p.must(t, 401, http.MethodGet, "/Users", "", "Authorization", "")
		conn := p.dial(t)
		users := musterv1.NewProvisioningServiceClient(conn)
		for range 2 {
			if _, err := users.GetUser(authorized(), &musterv1.GetUserRequest{Id: id}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := users.GetUser(authorized(), &musterv1.GetUserRequest{Id: "nobody"}); status.Code(err) != codes.NotFound {
			t.Fatal(err)
		}
		for range 2 { // of one credential half as many may fail as of an address: this one has by now
			p.rest(t, http.MethodGet, "/Users", "", "Authorization", "Bearer of-nobody")
		}
		ctx, cancel := context.WithCancel(authorized())
		defer cancel()
		stream, err := musterv1.NewChangeServiceClient(conn).WatchChanges(ctx, &musterv1.WatchChangesRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := stream.Recv(); err != nil {
				t.Fatal(err)
			}
		}
		awaitMetrics(t, metrics, map[string]float64{
			`muster_requests_total{code="OK",door="rest",` + provisioning + `CreateUser"}`:             3,
			`muster_requests_total{code="NotFound",door="rest",` + provisioning + `GetUser"}`:          1,
			`muster_requests_total{code="Unauthenticated",door="rest",` + provisioning + `ListUsers"}`: 3,
			`muster_requests_total{code="OK",door="grpc",` + provisioning + `GetUser"}`:                2,
			`muster_requests_total{code="NotFound",door="grpc",` + provisioning + `GetUser"}`:          1,
			`muster_request_duration_seconds{door="rest",` + provisioning + `CreateUser"}`:             3,
			`muster_request_duration_seconds{door="grpc",` + provisioning + `GetUser"}`:                3,
			`muster_requests_in_flight{door="grpc"}`:                                                   0,
			`muster_streams_in_flight{door="grpc"}`:                                                    1,
			`muster_http_responses_total{code="201",door="rest"}`:                                      3,
			`muster_http_responses_total{code="404",door="rest"}`:                                      2,
			`muster_http_responses_total{code="401",door="rest"}`:                                      3,
			`muster_http_responses_total{code="429",door="rest"}`:                                      1,
			`muster_refused_logins_total{cause="unknown_secret",door="rest"}`:                          2,
			`muster_refused_logins_total{cause="no_credential",door="rest"}`:                           1,
			`muster_refused_logins_total{cause="throttled",door="rest"}`:                               1,
			`muster_rate_limited_total{limit="failed_logins"}`:                                         1,
			`muster_rate_limited_total{limit="rate"}`:                                                  0,
			`muster_change_feed_position{}`:                                                            3,
			`muster_change_feed_watchers{}`:                                                            1,
			`muster_change_feed_max_lag_changes{}`:                                                     0,
			`muster_database_up{}`:                                                                     1,
			`muster_database_errors_total{operation="read"}`:                                           0,
			`muster_database_errors_total{operation="write"}`:                                          0,
			`muster_audit_queue_length{}`:                                                              0,
			`muster_audit_events_lost_total{}`:                                                         0,
		})
		cancel()
		awaitMetrics(t, metrics, map[string]float64{
			`muster_streams_in_flight{door="grpc"}`: 0, `muster_change_feed_watchers{}`: 0, `muster_requests_total{code="Canceled",door="grpc",` + watching + `}`: 1,
			`muster_request_duration_seconds{door="grpc",` + watching + `}`: -1, // a stream lasts as long as its client likes
		})
		_, families := scrape(t, http.DefaultClient, metrics)
		if m := families["muster_request_duration_seconds"].GetMetric()[0].GetHistogram(); m.GetSampleSum() <= 0 || len(m.GetBucket()) < 10 || m.GetBucket()[5].GetUpperBound() > 0.1 {
			t.Errorf("the times are not in seconds: %v", m)
		}
		found := samples(families)
		if n := found["muster_database_write_duration_seconds{}"]; n < 3 {
			t.Errorf("%v writes of at least 3", n)
		}
		if idle, most := found[`muster_database_connections{state="idle"}`], found["muster_database_max_connections{}"]; idle < 1 || most < idle {
			t.Errorf("%v connections are idle of at most %v", idle, most)
		}
		if _, pooled := found["muster_database_connection_waits_total{}"]; pooled != strings.HasPrefix(database, "postgres") {
			t.Error("waits for connections are told of the wrong database")
		}
		for _, name := range []string{"go_goroutines{}", "process_resident_memory_bytes{}"} {
			if found[name] <= 0 {
				t.Errorf("%s is %v", name, found[name])
			}
		}
	})
}

// What waits for a receiver is told, and what it is given up.
func TestMetrics_CountEvents(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, database string) {
		receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
		t.Cleanup(receiver.Close)
		p := start(t, database, "--metrics", "127.0.0.1:0", "--events-private", "--events-max-age", "4s")
		metrics := p.awaitLine(t, "Metrics:       ")
		p.runs(t, "subscription", "create", "hr", "--push", receiver.URL)
		p.runs(t, "subscription", "create", "portal", "--poll")
		p.must(t, 201, http.MethodPost, "/Users", `{"userName":"ada"}`)
		awaitMetrics(t, metrics, map[string]float64{
			"muster_events_waiting{}": 1, `muster_subscriptions{delivery="push",state="active"}`: 1, `muster_subscriptions{delivery="poll",state="active"}`: 1,
			`muster_subscriptions{delivery="push",state="failed"}`: 0, "muster_dead_letters{}": 0,
		})
		if _, families := scrape(t, http.DefaultClient, metrics); samples(families)["muster_events_oldest_waiting_seconds{}"] <= 0 {
			t.Error("the event that waits has no age")
		}
		awaitMetrics(t, metrics, map[string]float64{
			"muster_events_waiting{}": 0, "muster_events_oldest_waiting_seconds{}": 0, "muster_dead_letters{}": 1, "muster_events_given_up_total{}": 1, `muster_event_pushes_total{outcome="accepted"}`: 0,
		})
		if _, families := scrape(t, http.DefaultClient, metrics); samples(families)[`muster_event_pushes_total{outcome="refused"}`] < 2 {
			t.Error("the attempts that were refused are not counted")
		}
		p.runs(t, "subscription", "update", "portal", "--paused")
		execute(t, database, "UPDATE subscriptions SET failure = 'it cannot go on' WHERE name = 'hr'")
		awaitMetrics(t, metrics, map[string]float64{
			`muster_subscriptions{delivery="poll",state="paused"}`: 1, `muster_subscriptions{delivery="poll",state="active"}`: 0,
			`muster_subscriptions{delivery="push",state="failed"}`: 1, `muster_subscriptions{delivery="push",state="active"}`: 0,
		})
		p.runs(t, "subscription", "delete", "hr")
		awaitMetrics(t, metrics, map[string]float64{`muster_subscriptions{delivery="push",state="failed"}`: 0, "muster_dead_letters{}": 0})
	})
}

// Metrics tell nothing of anybody: no label has a value that is not the program's own.
// They are named as Prometheus wants it.
func TestMetrics_NameNobody(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, database string) {
		p := start(t, database, "--metrics", "127.0.0.1:0")
		metrics := p.awaitLine(t, "Metrics:       ")
		names := []string{token, "bootstrap", "muster_client", "acmecorp", "ada.lovelace", "walkers", "portalsub", "wrong-secret", "filter-of-somebody", "agent-of-somebody", "request-of-somebody", "127.0.0.1", "default"}
		secret := p.secondTenant(t, "acmecorp")
		names = append(names, secret)
		for _, authorization := range []string{"Bearer " + token, "Bearer " + secret} {
			header := []string{"Authorization", authorization, "User-Agent", "agent-of-somebody", "X-Request-Id", "request-of-somebody"}
			names = append(names, p.must(t, 201, http.MethodPost, "/Users", `{"userName":"ada.lovelace"}`, header...)["id"].(string))
			names = append(names, p.must(t, 201, http.MethodPost, "/Groups", `{"displayName":"walkers"}`, header...)["id"].(string))
			p.must(t, 200, http.MethodGet, "/Users?filter=userName+eq+%22filter-of-somebody%22", "", header...)
			p.must(t, 404, http.MethodGet, "/ada.lovelace", "", header...)
		}
		p.must(t, 401, http.MethodGet, "/Users", "", "Authorization", "Bearer wrong-secret")
		p.rest(t, "LOVELACE", "/Users", "")
		p.runs(t, "subscription", "create", "portalsub", "--tenant", "acmecorp", "--poll")
		_ = p.dial(t).Invoke(authorized(), "/muster.v1.AdaService/GetLovelace", &musterv1.GetUserRequest{}, &musterv1.User{})
		text, families := scrape(t, http.DefaultClient, metrics)
		for _, name := range append(names, "LOVELACE", "Lovelace") {
			if bytes.Contains(text, []byte(name)) {
				t.Errorf("the metrics have %q:\n%s", name, text)
			}
		}
		problems, err := promlint.NewWithMetricFamilies(slices.Collect(maps.Values(families))).Lint()
		if err != nil {
			t.Fatal(err)
		}
		for _, problem := range problems {
			if strings.HasPrefix(problem.Metric, "muster_") {
				t.Errorf("%s: %s", problem.Metric, problem.Text)
			}
		}
		for name, family := range families {
			for _, m := range family.GetMetric() {
				if len(m.GetLabel()) > 3 {
					t.Errorf("%s has the labels %v", name, m.GetLabel())
				}
			}
		}
		root := strings.TrimSuffix(metrics, "/metrics")
		for path, want := range map[string]int{"/": 404, "/scim/v2/Users": 404, "/admin/v1/tenants": 404, "/console/": 404} {
			if got := p.rest(t, http.MethodGet, root+path, ""); got.status != want {
				t.Errorf("%s at the address of the metrics: %d", path, got.status)
			}
		}
		if got := p.rest(t, http.MethodPost, metrics, "x"); got.status != http.StatusMethodNotAllowed {
			t.Errorf("a POST: %d", got.status)
		}
	})
}

// Without the setting there are no metrics anywhere; and one that other machines could
// reach is refused, as any address without TLS, unless that is allowed.
func TestMetrics_OnlyWhereAskedFor(t *testing.T) {
	t.Parallel()
	p := start(t, sqliteURL(t))
	if strings.Contains(p.out.String(), "Metrics:") {
		t.Errorf("nobody asked for metrics: %s", p.out)
	}
	rest := strings.TrimSuffix(strings.TrimPrefix(p.base, "http://"), "/scim/v2")
	if got := p.rest(t, http.MethodGet, "http://"+rest+"/metrics", ""); got.status != 404 {
		t.Errorf("the REST face has metrics: %d", got.status)
	}
	if open := listeners(t, p); open != nil && len(open) != 2 {
		t.Errorf("it listens at %v", open)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "serve", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--metrics", ":0")
	cmd.Env = append(cmd.Environ(), "MUSTER_DATABASE="+sqliteURL(t))
	out, err := cmd.CombinedOutput()
	if err == nil || ctx.Err() != nil {
		t.Fatalf("it serves: %s", out)
	}
	for _, way := range []string{"--metrics ", "127.0.0.1", "--plaintext", "--tls-cert"} {
		if !strings.Contains(string(out), way) {
			t.Errorf("the error does not say %q: %s", way, out)
		}
	}
	p = start(t, sqliteURL(t), "--metrics", ":0", "--plaintext")
	_, port, err := net.SplitHostPort(strings.TrimSuffix(strings.TrimPrefix(p.awaitLine(t, "Metrics:       "), "http://"), "/metrics"))
	if err != nil {
		t.Fatal(err)
	}
	scrape(t, http.DefaultClient, "http://127.0.0.1:"+port+"/metrics")
	if open := listeners(t, p); open != nil && len(open) != 3 {
		t.Errorf("it listens at %v", open)
	}
}

// Where the server speaks TLS, metrics do so too where other machines can reach them.
func TestMetrics_TLS(t *testing.T) {
	t.Parallel()
	s := startTLS(t, "--metrics", "127.0.0.1:0")
	scrape(t, http.DefaultClient, s.awaitLine(t, "Metrics:       "))
	s = startTLS(t, "--metrics", ":0")
	metrics := s.awaitLine(t, "Metrics:       ")
	_, port, err := net.SplitHostPort(strings.TrimSuffix(strings.TrimPrefix(metrics, "https://"), "/metrics"))
	if err != nil {
		t.Fatal(err)
	}
	scrape(t, s.newClient(t), "https://127.0.0.1:"+port+"/metrics")
	if res, err := http.Get("http://127.0.0.1:" + port + "/metrics"); err == nil {
		if res.Body.Close(); res.StatusCode != http.StatusBadRequest {
			t.Errorf("in plain text: %d", res.StatusCode)
		}
	}
}

// While the database does not answer, the metrics say just that.
func TestMetrics_DatabaseDown(t *testing.T) {
	t.Parallel()
	database := postgresURL(t)
	p := start(t, database, "--metrics", "127.0.0.1:0")
	metrics := p.awaitLine(t, "Metrics:       ")
	awaitMetrics(t, metrics, map[string]float64{"muster_database_up{}": 1, "muster_change_feed_position{}": 0, "muster_dead_letters{}": 0})
	other, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(other.Path, "/")
	other.Path = "/postgres"
	execute(t, other.String(), `ALTER DATABASE "`+name+`" ALLOW_CONNECTIONS false`)
	execute(t, other.String(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
	if got := p.rest(t, http.MethodGet, "/Users", ""); got.status != http.StatusServiceUnavailable {
		t.Errorf("without a database: %d %s", got.status, got.body)
	}
	awaitMetrics(t, metrics, map[string]float64{"muster_database_up{}": 0, "muster_change_feed_position{}": -1, "muster_dead_letters{}": -1, "muster_change_feed_watchers{}": 0})
	_, families := scrape(t, http.DefaultClient, metrics)
	if n := samples(families)[`muster_database_errors_total{operation="read"}`]; n < 1 {
		t.Errorf("%v errors of the database are counted", n)
	}
	execute(t, other.String(), `ALTER DATABASE "`+name+`" ALLOW_CONNECTIONS true`)
	awaitMetrics(t, metrics, map[string]float64{"muster_database_up{}": 1, "muster_change_feed_position{}": 0})
}

// listeners are the sockets at which a program listens; nil: this system does not tell.
func listeners(t *testing.T, p *program) (open []string) {
	t.Helper()
	own := fmt.Sprintf("/proc/%d", p.cmd.Process.Pid)
	files, err := os.ReadDir(own + "/fd")
	if err != nil {
		return nil // of a program that is not dumpable only root is told
	}
	sockets := make(map[string]bool)
	for _, f := range files {
		if to, err := os.Readlink(own + "/fd/" + f.Name()); err == nil {
			sockets[strings.TrimSuffix(strings.TrimPrefix(to, "socket:["), "]")] = true
		}
	}
	for _, table := range []string{"/net/tcp", "/net/tcp6"} {
		text, err := os.ReadFile(own + table)
		if err != nil {
			return nil
		}
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) > 9 && f[3] == "0A" && sockets[f[9]] { // LISTEN
				open = append(open, f[1])
			}
		}
	}
	return open
}

var (
	selector = regexp.MustCompile(`(muster_[a-z_]+)(?:\{([^}]*)\})?`)
	matcher  = regexp.MustCompile(`([a-z_]+)(?:=~|!~|!=|=)"([^"]*)"`)
)

// The example has five alerts, which ask for metrics, labels and values that there are.
func TestMetrics_ExampleAlerts(t *testing.T) {
	t.Parallel()
	p := start(t, sqliteURL(t), "--metrics", "127.0.0.1:0")
	p.must(t, 200, http.MethodGet, "/Users", "")
	_, families := scrape(t, http.DefaultClient, p.awaitLine(t, "Metrics:       "))
	var scraping struct {
		Configs []struct {
			Job string `yaml:"job_name"`
		} `yaml:"scrape_configs"`
		Files []string `yaml:"rule_files"`
	}
	var alerts struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	readExample(t, "scrape.yaml", &scraping)
	readExample(t, "alerts.yaml", &alerts)
	if len(alerts.Groups) != 1 || len(alerts.Groups[0].Rules) != 5 || len(scraping.Configs) != 1 || !slices.Equal(scraping.Files, []string{"alerts.yaml"}) {
		t.Fatalf("the examples are %v, %v", alerts, scraping)
	}
	for _, rule := range alerts.Groups[0].Rules {
		if rule.Alert == "" || rule.Labels["severity"] == "" || rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
			t.Errorf("%v says too little", rule)
		}
		if wait, err := model.ParseDuration(cmp.Or(rule.For, "0s")); err != nil || time.Duration(wait) > 15*time.Minute {
			t.Errorf("%s: %v, %v", rule.Alert, wait, err)
		}
		found := selector.FindAllStringSubmatch(rule.Expr, -1)
		if len(found) == 0 {
			t.Errorf("%s asks for no metric", rule.Alert)
		}
		for _, s := range found {
			family := families[strings.TrimSuffix(s[1], "_bucket")]
			if len(family.GetMetric()) == 0 || strings.HasSuffix(s[1], "_bucket") != (family.GetType() == dto.MetricType_HISTOGRAM) {
				t.Errorf("%s asks for %s, which is not there", rule.Alert, s[1])
				continue
			}
			for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
				matches(t, rule.Alert, family, scraping.Configs[0].Job, m[1], m[2])
			}
		}
	}
}

// matches checks that a label can have the values that an alert asks for.
func matches(t *testing.T, alert string, family *dto.MetricFamily, job, label, values string) {
	t.Helper()
	can := map[string][]string{"job": {job}, "door": {"rest", "grpc", "console"}, "state": {"active", "paused", "failed"}}
	for c := range codes.Code(17) {
		can["code"] = append(can["code"], c.String())
	}
	for _, method := range []string{musterv1.EventService_PollEvents_FullMethodName, musterv1.ProvisioningService_Bulk_FullMethodName} {
		can["method"] = append(can["method"], strings.TrimPrefix(method, "/"))
	}
	has := func(l *dto.LabelPair) bool { return l.GetName() == label }
	if label != "job" && !slices.ContainsFunc(family.GetMetric()[0].GetLabel(), has) {
		t.Errorf("%s: %s has no label %s", alert, family.GetName(), label)
	}
	for value := range strings.SplitSeq(values, "|") {
		if !slices.Contains(can[label], value) {
			t.Errorf("%s: the label %s is never %q", alert, label, value)
		}
	}
}

func readExample(t *testing.T, name string, into any) {
	t.Helper()
	file, err := os.Open("../docs/examples/prometheus/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	decoder := yaml.NewDecoder(file)
	if strings.HasPrefix(name, "alerts") {
		decoder.KnownFields(true)
	}
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// Every metric that there is is in the documentation, and no other.
func TestMetrics_AreDocumented(t *testing.T) {
	t.Parallel()
	p := start(t, postgresURL(t), "--metrics", "127.0.0.1:0")
	p.must(t, 401, http.MethodGet, "/Users", "", "Authorization", "Bearer of-nobody")
	metrics := p.awaitLine(t, "Metrics:       ")
	awaitMetrics(t, metrics, map[string]float64{`muster_http_responses_total{code="401",door="rest"}`: 1})
	_, families := scrape(t, http.DefaultClient, metrics)
	text, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if !strings.HasPrefix(line, "| `muster_") || len(cells) < 4 {
			continue
		}
		for _, name := range regexp.MustCompile("`(muster_[a-z_]+)`").FindAllStringSubmatch(cells[1], -1) {
			family := families[name[1]]
			if len(family.GetMetric()) == 0 {
				t.Errorf("%s is documented and not there", name[1])
				continue
			}
			for _, l := range family.GetMetric()[0].GetLabel() {
				if !strings.Contains(cells[2], "`"+l.GetName()+"`") {
					t.Errorf("the label %s of %s is not documented", l.GetName(), name[1])
				}
			}
			delete(families, name[1])
		}
	}
	for name := range families {
		if strings.HasPrefix(name, "muster_") {
			t.Errorf("%s is not documented", name)
		}
	}
}
