package simulate

import (
	"errors"
	"fmt"
	"io"
	"time"

	"go.yaml.in/yaml/v3"
)

// caseFormat is what a file says that it is.
const caseFormat = "muster-recording/1"

// A Case is a recording of what one client sent and was answered. In its paths and
// bodies ${base} stands for the SCIM base URL.
type Case struct {
	Format string `yaml:"format"`
	// Credential is the name of who was recorded.
	Credential string    `yaml:"credential,omitempty"`
	Started    time.Time `yaml:"started"`
	// Redacted are the attributes whose values are placeholders.
	Redacted  []string       `yaml:"redacted,omitempty"`
	Exchanges []CaseExchange `yaml:"exchanges"`
}

// A CaseExchange is a request and its answer.
type CaseExchange struct {
	// At is how long after the start it began.
	At      time.Duration `yaml:"at"`
	Request CaseRequest   `yaml:"request"`
	Answer  CaseAnswer    `yaml:"answer"`
	// Refused: the credential was not let in.
	Refused bool `yaml:"refused,omitempty"`
}

// A CaseRequest is one half of an exchange.
type CaseRequest struct {
	Method string            `yaml:"method"`
	Path   string            `yaml:"path"` // below the SCIM base URL, with the query
	Header map[string]string `yaml:"header,omitempty"`
	Body   string            `yaml:"body,omitempty"`
	// Cut: it was too large to be kept.
	Cut bool `yaml:"cut,omitempty"`
}

// A CaseAnswer is the other half.
type CaseAnswer struct {
	Status int               `yaml:"status"`
	Header map[string]string `yaml:"header,omitempty"`
	Body   string            `yaml:"body,omitempty"`
	Cut    bool              `yaml:"cut,omitempty"`
	Took   time.Duration     `yaml:"took,omitempty"`
}

// Write writes the case as a YAML file.
func (c *Case) Write(w io.Writer) error {
	c.Format = caseFormat
	if _, err := io.WriteString(w, "# A recording of Muster. Play it with: muster simulate replay FILE --url URL --token TOKEN\n"); err != nil {
		return err
	}
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	return errors.Join(enc.Encode(c), enc.Close())
}

// ReadCase reads such a file.
func ReadCase(r io.Reader) (*Case, error) {
	c := &Case{}
	dec := yaml.NewDecoder(r)
	dec.KnownFields(true)
	if err := dec.Decode(c); err != nil {
		return nil, fmt.Errorf("it is no recording: %w", err)
	}
	if c.Format != caseFormat {
		return nil, fmt.Errorf("its format is %q, and not %q", c.Format, caseFormat)
	}
	return c, nil
}
