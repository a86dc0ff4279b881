package browser

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// axe-core is not ours, so it is not in the repository: a pinned package of PyPI brings
// it, once, into the user's cache.
const (
	axePackage     = "axe-playwright-python==0.1.8" // it has axe-core 4.12.1
	axePackageHash = "fdd263c998388f1a8e67cad02677e612d946248bd44d163be5e8650ea31f95f8"
	axeFile        = "axe_playwright_python/axe.min.js"
	axeHash        = "84494fec757e4710dc751c8d7a636e457f4532f08f85c86dc9070133fbff53bc"
)

// fetchAxe is the text of axe-core.
var fetchAxe = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	kept := filepath.Join(cache, "muster-test", axeHash+".js")
	if text, err := os.ReadFile(kept); err == nil && hashOf(text) == axeHash {
		return string(text), nil
	}
	text, err := downloadAxe()
	if err != nil {
		return "", fmt.Errorf("fetching axe-core: %w", err)
	}
	if got := hashOf(text); got != axeHash {
		return "", fmt.Errorf("the package %s has another axe-core than it had: %s", axePackage, got)
	}
	if err := os.MkdirAll(filepath.Dir(kept), 0o750); err != nil {
		return "", err
	}
	return string(text), os.WriteFile(kept, text, 0o600)
})

func hashOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// downloadAxe lets pip fetch and check the package, and takes axe-core out of it.
func downloadAxe() ([]byte, error) {
	dir, err := os.MkdirTemp("", "muster-axe-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	list := filepath.Join(dir, "requirements.txt")
	if err := os.WriteFile(list, []byte(axePackage+" --hash=sha256:"+axePackageHash+"\n"), 0o600); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	pip := exec.CommandContext(ctx, "python3", "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", list, "-d", dir)
	if out, err := pip.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("pip: %w\n%s", err, out)
	}
	wheels, err := filepath.Glob(filepath.Join(dir, "*.whl"))
	if err != nil || len(wheels) != 1 {
		return nil, fmt.Errorf("pip left %v (%w)", wheels, err)
	}
	wheel, err := zip.OpenReader(wheels[0])
	if err != nil {
		return nil, err
	}
	defer wheel.Close()
	f, err := wheel.Open(axeFile)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// Axe asks axe-core about the page as it is now. It returns what violates WCAG 2.2 AA or
// is against axe's best practices, a line each.
func (tab *Tab) Axe() []string {
	tab.t.Helper()
	axe, err := fetchAxe()
	if err != nil {
		if os.Getenv("MUSTER_TEST_BROWSER_REQUIRED") == "" {
			tab.t.Log("NOT TESTED WITH AXE: ", err)
			return nil
		}
		tab.t.Fatal(err)
	}
	var found []struct {
		ID, Impact, Help string
		Nodes            []struct {
			HTML           string
			FailureSummary string
		}
	}
	tab.Evaluate(axe+`; axe.run(document, {resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then(r => r.violations.map(v => ({ID: v.id, Impact: v.impact, Help: v.help, Nodes: v.nodes.map(n => ({HTML: n.html, FailureSummary: n.failureSummary}))})))`, &found)
	var lines []string
	for _, v := range found {
		for _, n := range v.Nodes {
			lines = append(lines, fmt.Sprintf("%s (%s): %s: %s\n\t%s", v.ID, v.Impact, v.Help, n.HTML, strings.ReplaceAll(n.FailureSummary, "\n", "\n\t")))
		}
	}
	return lines
}
