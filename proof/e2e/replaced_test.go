package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// restless is a page that puts new elements in the place of all it has, as fast as
// a browser does that.
const restless = `<!doctype html><title>restless</title><link rel="icon" href="data:,"><main></main><script>
let clicks = 0, changes = 0;
setInterval(() => {
	changes++;
	document.querySelector("main").innerHTML =
		'<p>' + clicks + '</p><button onclick="clicks++">count</button><input oninput="this.value === \'word\' && clicks++">';
}, 0);
</script>`

// Live updates replace elements between any two steps of a test. What a test does
// to an element it does once, and never to one that is gone.
func TestElementsThatAreReplacedAllTheTimeAreUsedAllTheSame(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(restless))
	}))
	t.Cleanup(web.Close)
	b := openBrowsers(t, 1, strings.TrimPrefix(web.URL, "http://"))[0]
	b.open(web.URL, "button")
	const least = 100
	rounds := 0
	// A browser may be slower to change a page than to be asked: both have to happen.
	for changes := 0; rounds < least || changes < least; rounds++ {
		b.click("button")
		b.fill("input", "word")
		b.see("p")
		changes = do(b, chromedp.Evaluate[int](`changes`))
	}
	if n := do(b, chromedp.Evaluate[int](`clicks`)); n != 2*rounds {
		t.Errorf("%d clicks and words arrived, want %d", n, 2*rounds)
	}
	b.within(fmt.Sprintf(`document.querySelector("p").innerText === "%d"`, 2*rounds))
	b.calm("restless")
}
