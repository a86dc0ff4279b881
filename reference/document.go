package reference

import "strings"

// A document is an OpenAPI document, as far as this one goes (OpenAPI 3.1 section 4.8).
type document struct {
	OpenAPI    string                `json:"openapi"`
	Info       info                  `json:"info"`
	Servers    []server              `json:"servers"`
	Security   []map[string][]string `json:"security"`
	Tags       []tag                 `json:"tags"`
	Paths      map[string]pathItem   `json:"paths"`
	Components components            `json:"components"`
}

type info struct {
	Title       string `json:"title"`
	Version     string `json:"version"`
	Description string `json:"description"`
}

type server struct {
	URL string `json:"url"`
}

type tag struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
}

type components struct {
	Schemas         map[string]schema   `json:"schemas"`
	Responses       map[string]response `json:"responses"`
	SecuritySchemes map[string]any      `json:"securitySchemes"`
}

// A pathItem is the operations of a path, by method in small letters.
type pathItem map[string]*operation

type operation struct {
	ID          string                 `json:"operationId"`
	Tags        []string               `json:"tags"`
	Summary     string                 `json:"summary"`
	Description string                 `json:"description,omitempty"`
	Parameters  []parameter            `json:"parameters,omitempty"`
	Body        *body                  `json:"requestBody,omitempty"`
	Responses   map[string]response    `json:"responses"`
	Security    *[]map[string][]string `json:"security,omitempty"` // nil: the document's
}

type parameter struct {
	Name        string `json:"name"`
	In          string `json:"in"`
	Description string `json:"description,omitempty"`
	Required    bool   `json:"required,omitempty"`
	Schema      schema `json:"schema"`
}

type body struct {
	Description string           `json:"description,omitempty"`
	Required    bool             `json:"required,omitempty"`
	Content     map[string]media `json:"content"`
}

type media struct {
	Schema schema `json:"schema"`
}

// A response is one, or where Ref is set one of the components.
type response struct {
	Ref         string            `json:"$ref,omitempty"`
	Description string            `json:"description,omitempty"`
	Headers     map[string]header `json:"headers,omitempty"`
	Content     map[string]media  `json:"content,omitempty"`
}

type header struct {
	Description string `json:"description,omitempty"`
	Schema      schema `json:"schema"`
}

// A schema is a JSON Schema (draft 2020-12).
type schema map[string]any

func refTo(name string) schema { return schema{"$ref": "#/components/schemas/" + name} }

func listOf(items schema) schema { return schema{"type": "array", "items": items} }

func described(s schema, text string) schema {
	if text != "" {
		s["description"] = text
	}
	return s
}

var (
	text    = schema{"type": "string"}
	integer = schema{"type": "integer"}
	truth   = schema{"type": "boolean"}
)

// object is a schema of an object with these members, some of them required.
func object(members map[string]any, required ...string) schema {
	s := schema{"type": "object", "properties": members}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

// of is the content of a body, in each of the media types.
func of(s schema, mediaTypes ...string) map[string]media {
	content := make(map[string]media)
	for _, m := range mediaTypes {
		content[m] = media{s}
	}
	return content
}

// summary is the first sentence of a text.
func summary(text string) string {
	text = strings.ReplaceAll(text, "\n", " ")
	for at := 0; ; {
		end := strings.Index(text[at:], ". ")
		if end < 0 {
			return strings.TrimSuffix(text, ".")
		}
		at += end
		if !strings.HasSuffix(text[:at], "e.g") {
			return text[:at]
		}
		at++
	}
}
