package server

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

const (
	// minKnown is the least bytes of a value that is looked for wherever it stands.
	minKnown = 6
	// maxKnown is the most values that are.
	maxKnown = 10_000
	// notJSON stands for a body that cannot be read, so that nothing in it can be found.
	notJSON = "(not JSON)"
	// baseVariable stands for the SCIM base URL.
	baseVariable = "${base}"
)

// A redactor takes out of exchanges what must not be kept. The same value is replaced
// by the same placeholder: of attributes that an operator names on every server, of
// secrets on this one, since nothing that is made of a secret may be tried elsewhere.
type redactor struct {
	key     []byte
	named   map[string]bool // names of attributes, in small letters
	secrets atomic.Pointer[secretNames]

	mu    sync.Mutex
	known map[string]string // placeholders of values that were seen
}

// secretNames are the names of the attributes of a catalog that are secrets, in small
// letters.
type secretNames struct {
	of    *scim.Catalog
	names map[string]bool
}

// processKey is for the placeholders of secrets, and never leaves the process.
var processKey = sync.OnceValue(func() []byte { return []byte(rand.Text()) })

func newRedactor(key []byte, named []string) *redactor {
	r := &redactor{key: key, named: make(map[string]bool), known: make(map[string]string)}
	for _, name := range named {
		r.named[strings.ToLower(name)] = true
	}
	r.learn(scim.Contract)
	return r
}

// learn learns which attributes of a catalog are secrets.
func (r *redactor) learn(catalog *scim.Catalog) {
	if catalog == nil || catalog == r.secrets.Load().catalog() {
		return
	}
	r.secrets.Store(secretsOf(catalog))
}

func secretsOf(catalog *scim.Catalog) *secretNames {
	s := &secretNames{catalog, map[string]bool{"password": true}}
	for _, rt := range catalog.ResourceTypes() {
		s.add(rt.Attributes())
	}
	return s
}

func (s *secretNames) catalog() *scim.Catalog {
	if s == nil {
		return nil
	}
	return s.of
}

func (s *secretNames) add(attributes []*scim.Attribute) {
	for _, a := range attributes {
		if a.Returned == musterv1.Attribute_RETURNED_NEVER || a.Mutability == musterv1.Attribute_MUTABILITY_WRITE_ONLY {
			s.names[strings.ToLower(a.Name)] = true
		}
		s.add(a.Sub)
	}
}

func (r *redactor) isSecret(name string) bool { return r.secrets.Load().names[strings.ToLower(name)] }

// hides tells whether values of an attribute are replaced.
func (r *redactor) hides(name string) bool {
	return r.named[strings.ToLower(name)] || r.isSecret(name)
}

// placeholder is what stands for a value of an attribute.
func (r *redactor) placeholder(value string, secret bool) string {
	key := r.key
	if secret {
		key = processKey()
	}
	folded := strings.ToLower(value)
	made := "redacted-" + hex.EncodeToString(seal(key, folded)[:8])
	if value != folded {
		made = cased(made, seal(key, "case of "+value)[0]|1)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if earlier, ok := r.known[value]; ok && !secret {
		return earlier
	}
	if len(value) >= minKnown && len(r.known) < maxKnown && !r.hides(value) {
		r.known[value] = made
	}
	return made
}

func seal(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// cased writes a placeholder in other letter case, by the bits of a number: values that
// differ in letter case alone have placeholders that do so too, since attributes can
// be compared without it.
func cased(placeholder string, bits byte) string {
	letters := []byte(placeholder)
	for i := range 8 { // those of "redacted"
		if bits>>i&1 == 1 {
			letters[i] -= 'a' - 'A'
		}
	}
	return string(letters)
}

// body redacts a JSON text; base is the SCIM base URL in it.
func (r *redactor) body(data []byte, base string) string {
	if len(data) == 0 {
		return ""
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil || decoder.More() {
		return notJSON
	}
	value = r.value(value)
	value = r.sweep(value, base)
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil { // it was decoded just now
		return notJSON
	}
	return strings.TrimSpace(out.String())
}

// value redacts what is known by its name.
func (r *redactor) value(v any) any {
	switch v := v.(type) {
	case map[string]any:
		path := ""
		for name, member := range v {
			switch text, _ := member.(string); {
			case strings.EqualFold(name, "path") && text != "":
				path, v[name] = text, r.filter(text)
			case strings.EqualFold(name, "filter") && text != "":
				v[name] = r.filter(text)
			}
		}
		hides, secret := r.hidesPath(path)
		for name, member := range v {
			named, isSecret := r.hidesPath(name) // a name can be a path too
			switch {
			case hides && strings.EqualFold(name, "value"):
				v[name] = r.replace(member, secret)
			case named:
				v[name] = r.replace(member, isSecret)
			default:
				v[name] = r.value(member)
			}
		}
		return v
	case []any:
		for i := range v {
			v[i] = r.value(v[i])
		}
	}
	return v
}

// replace replaces all that a value of an attribute has.
func (r *redactor) replace(v any, secret bool) any {
	switch v := v.(type) {
	case string:
		return r.placeholder(v, secret)
	case json.Number:
		return json.Number("0")
	case map[string]any:
		for name, member := range v {
			v[name] = r.replace(member, secret)
		}
		return v
	case []any:
		for i := range v {
			v[i] = r.replace(v[i], secret)
		}
		return v
	}
	return v
}

// sweep replaces values that were seen, wherever they stand, and the base URL.
func (r *redactor) sweep(v any, base string) any {
	switch v := v.(type) {
	case string:
		return r.text(v, base)
	case map[string]any:
		for name, member := range v {
			v[name] = r.sweep(member, base)
		}
		return v
	case []any:
		for i := range v {
			v[i] = r.sweep(v[i], base)
		}
		return v
	}
	return v
}

// text is sweep of one text.
func (r *redactor) text(text, base string) string {
	if base != "" {
		text = strings.ReplaceAll(text, base, baseVariable)
	}
	if len(text) < minKnown {
		return text
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []string
	for value := range r.known {
		if strings.Contains(text, value) {
			found = append(found, value)
		}
	}
	slices.SortFunc(found, func(a, b string) int { return len(b) - len(a) }) // the longest first
	for _, value := range found {
		text = strings.ReplaceAll(text, value, r.known[value])
	}
	return text
}

// hidesPath tells whether values at a path of a patch are replaced.
func (r *redactor) hidesPath(path string) (hides, secret bool) {
	for _, name := range namesIn(path) {
		hides, secret = hides || r.hides(name), secret || r.isSecret(name)
	}
	return hides, secret
}

// namesIn are the names in a path of a patch, but for those in its filter.
func namesIn(path string) []string {
	if at, rest, ok := strings.Cut(path, "["); ok {
		_, after, _ := strings.Cut(rest[strings.LastIndexByte(rest, ']')+1:], ".")
		path = at
		if after != "" {
			path += "." + after
		}
	}
	path = path[strings.LastIndexByte(path, ':')+1:]
	return strings.Split(path, ".")
}

// comparison is one in a filter: the attribute, the operator, and a value, which may be
// a text that is not written as it should.
var comparison = regexp.MustCompile(`(?i)([A-Za-z][\w.:$-]*)(\s+(?:eq|ne|co|sw|ew|gt|ge|lt|le)\s+)("(?:[^"\\]|\\.)*"?|[^\s"()\[\]]+)`)

// filter redacts the texts that a filter compares with; the path of a patch can have
// one too.
func (r *redactor) filter(text string) string {
	var out strings.Builder
	last := 0
	for _, at := range comparison.FindAllStringSubmatchIndex(text, -1) {
		attribute, literal := text[at[2]:at[3]], text[at[6]:at[7]]
		names := append(namesIn(attribute), namesIn(enclosing(text[:at[0]]))...)
		if !slices.ContainsFunc(names, r.hides) {
			continue
		}
		var value any
		if json.Unmarshal([]byte(literal), &value) != nil {
			value = nil // it is not written as it should
		} else if _, ok := value.(bool); ok || value == nil {
			continue // it says nothing of anybody
		}
		secret := slices.ContainsFunc(names, r.isSecret)
		out.WriteString(text[last:at[6]])
		switch value := value.(type) {
		case string:
			out.WriteString(`"` + r.placeholder(value, secret) + `"`)
		case float64:
			out.WriteString("0")
		default:
			out.WriteString(r.placeholder(literal, secret))
		}
		last = at[7]
	}
	out.WriteString(text[last:])
	return out.String()
}

// enclosing is the attribute whose value filter is open at the end of a text.
func enclosing(before string) string {
	open := strings.LastIndexByte(before, '[')
	if open < 0 || strings.LastIndexByte(before, ']') > open {
		return ""
	}
	before = before[:open]
	start := strings.LastIndexFunc(before, func(c rune) bool { return c == ' ' || c == '(' })
	return before[start+1:]
}

// target redacts the path of a request with its query.
func (r *redactor) target(path, base string) string {
	path, query, has := strings.Cut(path, "?")
	if plain, err := url.PathUnescape(path); err == nil {
		if swept := r.text(plain, ""); swept != plain {
			path = (&url.URL{Path: swept}).EscapedPath()
		}
	}
	if !has {
		return path
	}
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		plain, err := url.QueryUnescape(value)
		if err != nil {
			pairs[i] = name + "=" + url.QueryEscape(notJSON)
			continue
		}
		clean := plain
		if strings.EqualFold(name, "filter") {
			clean = r.filter(plain)
		}
		if clean = r.text(clean, base); clean != plain {
			pairs[i] = name + "=" + url.QueryEscape(clean)
		}
	}
	return path + "?" + strings.Join(pairs, "&")
}
