package gateway

import (
	_ "embed"
	"fmt"
	"net/http"

	"go.yaml.in/yaml/v3"
)

//go:embed http.yaml
var rules []byte

// Route is which request calls which RPC: one line of http.yaml.
type Route struct {
	Method string // of HTTP
	Path   string // a template: /scim/v2/Users/{id}
	RPC    string // muster.v1.ProvisioningService.GetUser
	// Body is the field of the request message that the body is; "*": all that the path
	// does not name; empty: there is no body.
	Body string
	// ResponseBody is the field of the answer that the body is; empty: all of it.
	ResponseBody string
	// Also tells that the RPC has another route, which comes before this one.
	Also bool
}

// rule is a line of http.yaml, as google.api.HttpRule has it.
type rule struct {
	Selector     string
	Get          string
	Post         string
	Put          string
	Patch        string
	Delete       string
	Body         string
	ResponseBody string `yaml:"response_body"`
	Additional   []rule `yaml:"additional_bindings"`
}

// Routes are all requests that the face knows, in the order of http.yaml.
func Routes() ([]Route, error) {
	var file struct {
		HTTP struct{ Rules []rule }
	}
	if err := yaml.Unmarshal(rules, &file); err != nil {
		return nil, fmt.Errorf("reading the HTTP rules: %w", err)
	}
	var all []Route
	for _, r := range file.HTTP.Rules {
		for i, binding := range append([]rule{r}, r.Additional...) {
			all = append(all, binding.route(r.Selector, i > 0))
		}
	}
	return all, nil
}

func (r rule) route(rpc string, also bool) Route {
	out := Route{RPC: rpc, Body: r.Body, ResponseBody: r.ResponseBody, Also: also}
	for method, path := range map[string]string{
		http.MethodGet: r.Get, http.MethodPost: r.Post, http.MethodPut: r.Put, http.MethodPatch: r.Patch, http.MethodDelete: r.Delete,
	} {
		if path != "" {
			out.Method, out.Path = method, path
		}
	}
	return out
}
