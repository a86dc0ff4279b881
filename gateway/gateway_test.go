package gateway

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// canned is a connection that answers every call alike and keeps what it was
// asked: here only the way of a request through HTTP counts. The whole program
// is proven in test/.
type canned struct {
	answer proto.Message
	err    error
	header metadata.MD

	calls   int
	method  string
	request proto.Message
	sent    metadata.MD

	// What was handed back at the end, with what it was asked before.
	exchange *musterv1.RecordExchangeRequest
	handed   metadata.MD
}

func (c *canned) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	if r, ok := args.(*musterv1.RecordExchangeRequest); ok {
		c.exchange = r
		c.handed, _ = metadata.FromOutgoingContext(ctx)
		return nil
	}
	c.calls++
	c.method, c.request = method, args.(proto.Message)
	c.sent, _ = metadata.FromOutgoingContext(ctx)
	for _, o := range opts {
		if h, ok := o.(grpc.HeaderCallOption); ok {
			*h.HeaderAddr = c.header
		}
	}
	if c.err != nil {
		return c.err
	}
	if c.answer != nil {
		proto.Merge(reply.(proto.Message), c.answer)
		return nil
	}
	m := reply.(proto.Message).ProtoReflect() // an empty resource is one all the same
	for i := range m.Descriptor().Fields().Len() {
		if f := m.Descriptor().Fields().Get(i); f.Message() != nil && !f.IsList() {
			m.Mutable(f)
		}
	}
	return nil
}

func (c *canned) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, status.Error(codes.Unimplemented, "no streams")
}

func newFace(t testing.TB, c *canned, opts Options) http.Handler {
	t.Helper()
	h, err := New(c, opts)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// ask sends a request; headers are pairs.
func ask(t testing.TB, h http.Handler, method, target, body string, headers ...string) *http.Response {
	t.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, target, in)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func read(t testing.TB, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// checkProblem checks that the answer is a SCIM error of this status and type.
func checkProblem(t *testing.T, r *http.Response, code int, scimType string) {
	t.Helper()
	var body struct {
		Schemas  []string `json:"schemas"`
		Status   string   `json:"status"`
		ScimType string   `json:"scimType"`
		Detail   string   `json:"detail"`
	}
	text := read(t, r)
	if err := json.Unmarshal([]byte(text), &body); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	if r.StatusCode != code || body.Status != strconv.Itoa(code) || body.ScimType != scimType ||
		!slices.Equal(body.Schemas, []string{"urn:ietf:params:scim:api:messages:2.0:Error"}) || body.Detail == "" {
		t.Errorf("got %d %s, want %d %q", r.StatusCode, text, code, scimType)
	}
	if got := r.Header.Get("Content-Type"); got != scimJSON {
		t.Errorf("the content type is %q", got)
	}
	if got := r.Header.Get("Content-Length"); got != strconv.Itoa(len(text)) {
		t.Errorf("the content length is %s of %d", got, len(text))
	}
}

var ada = &musterv1.User{Id: "u1", UserName: "ada", Meta: &musterv1.Meta{ResourceType: "User", Version: `W/"3"`}}

const printedAda = `{"id":"u1","meta":{"resourceType":"User","location":"https://id.example/scim/v2/Users/u1","version":"W/\"3\""},"userName":"ada"}`

func BenchmarkFace_GetUser(b *testing.B) {
	h := newFace(b, &canned{answer: &musterv1.GetUserResponse{User: ada}}, Options{})
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/scim/v2/Users/u1", nil))
		if w.Code != 200 {
			b.Fatal(w.Code)
		}
	}
}

// On a real socket net/http has a word in what is sent.
func TestServer_Socket(t *testing.T) {
	c := &canned{answer: &musterv1.GetUserResponse{User: ada}}
	srv := httptest.NewUnstartedServer(nil)
	srv.Config = Server("", newFace(t, c, Options{}))
	srv.Start()
	defer srv.Close()
	send := func(method, path string, body io.Reader, headers ...string) (*http.Response, string) {
		t.Helper()
		r, err := http.NewRequest(method, srv.URL+path, body)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		answer, err := srv.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		return answer, read(t, answer)
	}
	get, text := send(http.MethodGet, "//scim/v2//Users/u1/", nil)
	if get.StatusCode != http.StatusOK || get.ContentLength != int64(len(text)) || len(get.TransferEncoding) > 0 {
		t.Errorf("GET: %d %v %q", get.StatusCode, get.Header, text)
	}
	if head, text := send(http.MethodHead, "/scim/v2/Users/u1", nil); head.StatusCode != http.StatusOK || head.ContentLength != get.ContentLength || text != "" {
		t.Errorf("HEAD: %d %v %q", head.StatusCode, head.Header, text)
	}
	if same, text := send(http.MethodGet, "/scim/v2/Users/u1", nil, "If-None-Match", get.Header.Get("ETag")); same.StatusCode != http.StatusNotModified || text != "" {
		t.Errorf("GET of what did not change: %d %q", same.StatusCode, text)
	}
	c.answer = nil
	if gone, text := send(http.MethodDelete, "/scim/v2/Users/u1", nil); gone.StatusCode != http.StatusNoContent || text != "" || gone.Header.Get("Content-Length") != "" {
		t.Errorf("DELETE: %d %v %q", gone.StatusCode, gone.Header, text)
	}
	endless := io.MultiReader(strings.NewReader(`{"userName":"`), io.LimitReader(endlessText{}, 8<<20))
	if large, _ := send(http.MethodPost, "/scim/v2/Users", endless); large.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("POST of 8 MiB: %d", large.StatusCode)
	}
	if long, _ := send(http.MethodGet, "/scim/v2/Users", nil, "X-Long", strings.Repeat("a", 80<<10)); long.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a header of 80 KiB: %d", long.StatusCode)
	}
}

type endlessText struct{}

func (endlessText) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}
