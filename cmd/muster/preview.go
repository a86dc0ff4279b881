package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/muster-scim/muster/server"
	"github.com/muster-scim/muster/store"
)

// previewSettings are for preview credentials.
var previewSettings = []setting{
	{"preview-dir", "", "folder of the data of preview credentials; made if missing; without it, that of the embedded database, or else the system's for temporary files",
		func(c *config) *string { return &c.Preview.Folder }},
	{"preview-idle", "1h0m0s", "how long the copy that a preview credential works on is kept without being used", func(c *config) *time.Duration { return &c.Preview.Idle }},
	{"preview-copies", "4", "how many preview credentials can work on a copy at once", integer{func(c *config) *int { return &c.Preview.Copies }, 1, 1000}},
}

func (c *config) checkPreview() error {
	if c.Preview.Idle == 0 {
		return errors.New("preview-idle is 0; give a duration such as 1h")
	}
	return nil
}

// preview is what the server is told of preview credentials, once their folder is
// there and empty of what a server that was killed has left.
func (c *config) preview() (server.Preview, error) {
	p := c.Preview
	if p.Folder == "" {
		p.Folder = os.TempDir()
		if path, embedded := strings.CutPrefix(c.databaseURL(), "sqlite://"); embedded {
			p.Folder = filepath.Dir(path)
		}
	}
	err := os.MkdirAll(p.Folder, 0o700)
	if err == nil {
		err = store.RemoveCopies(p.Folder)
	}
	if err != nil {
		return p, fmt.Errorf("the folder of previews; choose another with --preview-dir: %w", err)
	}
	return p, nil
}
