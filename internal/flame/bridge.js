// The page stands in a frame with an origin of its own, so the server does not let it ask for another page. It tells the page around
// it where a link leads, and that page decides.
{
  const tell = (url) => parent.postMessage({ pprof: url.pathname.split("/").pop() + url.search }, "*");
  addEventListener("click", (e) => {
    const link = e.target.closest("a[href]");
    if (!link || e.defaultPrevented || parent === window) return;
    e.preventDefault();
    tell(new URL(link.href));
  });
  addEventListener("keydown", (e) => {
    if (e.key !== "Enter" || e.target.id !== "search" || parent === window || document.getElementById("stack-chart")) return;
    e.preventDefault();
    e.stopImmediatePropagation();
    const url = new URL(location.href);
    url.searchParams.set("f", e.target.value);
    tell(url);
  }, true);
}
