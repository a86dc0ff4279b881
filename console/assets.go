package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed assets
var assetFiles embed.FS

// An asset is a file that pages load. Its URL has a hash of what is in it, so that a
// browser keeps it for as long as it likes.
type asset struct {
	name, hash string
	text       []byte
}

// assets are all of them, by name.
var assets = func() map[string]asset {
	all := make(map[string]asset)
	err := fs.WalkDir(assetFiles, "assets", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := assetFiles.ReadFile(file)
		sum := sha256.Sum256(text)
		name := strings.TrimPrefix(file, "assets/")
		all[name] = asset{name, hex.EncodeToString(sum[:8]), text}
		return err
	})
	if err != nil {
		panic(err) // they are in the program
	}
	return all
}()

// assetURL is where an asset is found. A name that there is not is a mistake in a
// template, and fails it.
func assetURL(name string) string {
	a, ok := assets[name]
	if !ok {
		panic("there is no asset " + name)
	}
	return root + "assets/" + a.hash + "/" + a.name
}

// serveAsset answers with an asset. With a hash that is not its own, as a page of another
// version of the program has it, it is sent all the same, and not kept.
func serveAsset(w http.ResponseWriter, r *http.Request) {
	hash, name := path.Split(strings.TrimPrefix(r.URL.Path, root+"assets/"))
	a, ok := assets[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if strings.Trim(hash, "/") == a.hash {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		w.Header().Set("ETag", `"`+a.hash+`"`)
	}
	http.ServeContent(w, r, a.name, time.Time{}, bytes.NewReader(a.text))
}
