// Shows new entries while the page is open. Without it, the page works as it did.
"use strict";

{
  const section = document.getElementById("entries");
  const list = section.querySelector(".entries");
  const count = section.querySelector(".count");
  const blank = document.getElementById("new-entry").content;
  const settings = section.dataset;

  // Milliseconds. A server that is being restarted may answer with an error.
  const LATER = 30000;

  const text = (item, selector, value) => {
    // As text, never as markup: visitors write what they like.
    item.querySelector(selector).textContent = value;
  };

  const picture = (entry) => {
    const link = document.createElement("a");
    link.className = "picture";
    link.href = entry.picture;
    const image = document.createElement("img");
    image.alt = `Picture from ${entry.name}`;
    image.width = 400;
    image.height = 300;
    image.src = entry.picture;
    link.append(image);
    return link;
  };

  const show = (entry) => {
    // It may be told of twice, or have been in the page from the start.
    if (list.querySelector(`[data-entry="${CSS.escape(entry.id)}"]`)) return;
    const item = blank.cloneNode(true).firstElementChild;
    const letters = [...entry.name];
    text(item, ".avatar", letters[0].toUpperCase());
    item.querySelector(".avatar").classList.add(`tint-${letters.length % 5}`);
    item.querySelector("[data-entry]").dataset.entry = entry.id;
    text(item, "h3", entry.name);
    text(item, "time", entry.when);
    item.querySelector("time").dateTime = entry.at;
    text(item, "p", entry.message);
    if (entry.picture && /^https?:$/.test(new URL(entry.picture, location.href).protocol)) {
      item.querySelector("[data-entry]").append(picture(entry));
    }
    section.querySelector(".empty")?.remove();
    list.prepend(item);
    while (list.children.length > Number(settings.keep)) list.lastElementChild.remove();
    count.textContent = list.children.length;
    count.hidden = false;
  };

  // Over server-sent events, from the guestbook itself.
  let source = null;
  let timer = 0;
  let after = settings.after;

  const stop = () => {
    clearTimeout(timer);
    source?.close();
  };

  const follow = () => {
    stop();
    source = new EventSource(`${settings.live}?after=${encodeURIComponent(after)}`);
    source.addEventListener("entry", (message) => {
      after = message.lastEventId;
      show(JSON.parse(message.data));
    });
    source.addEventListener("error", () => {
      // A browser asks again by itself where the stream ended, not where it was refused.
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(follow, LATER);
    });
  };

  // A page that nobody looks at leaves its place to others; it has what it missed later.
  const look = () => (document.hidden ? stop() : follow());

  if (settings.live) {
    document.addEventListener("visibilitychange", look);
    look();
  } else if (typeof Pusher === "function") {
    const options = { cluster: settings.cluster, forceTLS: settings.tls === "true" };
    if (settings.host) {
      Object.assign(options, { wsHost: settings.host, enabledTransports: ["ws", "wss"] });
      const port = Number(settings.port) || (options.forceTLS ? 443 : 80);
      Object.assign(options, { wsPort: port, wssPort: port });
    }
    new Pusher(settings.key, options).subscribe("guestbook").bind("entry", show);
  }
}
