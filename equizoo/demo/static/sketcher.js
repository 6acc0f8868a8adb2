// What the page does with its sketcher, as `js_on_load` of gr.HTML: see sketcher.html for the other side.
const frame = element.querySelector("iframe");
const show = () => frame.contentWindow?.show?.(props.value || "");
frame.addEventListener("ready", show);
frame.addEventListener("drawn", (event) => {
  props.value = event.detail;
  trigger("input");
});
watch("value", show);
new IntersectionObserver((seen, observer) => {
  if (!seen.some((one) => one.isIntersecting)) return; // not before it is opened: it is a megabyte
  observer.disconnect();
  frame.src = "sketcher.html";
}).observe(element);
