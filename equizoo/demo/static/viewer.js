/* A small viewer on a 2-D canvas: balls and sticks, clouds of points, particles in motion. No dependencies.

   A scene is {key, label, radius, points: [[x, y, z, r, colour, ring]], bonds: [[i, j, order]],
   frames: [[[x, y, z], …], …], times: [t, …], states: [word, …], unit, digits, seconds, axes}. Lengths are in
   the units of the data, `radius` is the distance from the origin that must fit. Points beyond the length of
   a frame stay where they are. The camera stays while `key` stays. */
(() => {
  "use strict";
  const sprites = new Map();
  const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;

  function sprite(colour) {
    if (!sprites.has(colour)) {
      const size = 96;
      const canvas = document.createElement("canvas");
      canvas.width = canvas.height = size;
      const ctx = canvas.getContext("2d");
      ctx.beginPath();
      ctx.arc(size / 2, size / 2, size / 2 - 1, 0, 2 * Math.PI);
      ctx.fillStyle = colour;
      ctx.fill();
      ctx.clip();
      const shade = ctx.createRadialGradient(size * 0.34, size * 0.3, size * 0.04, size * 0.5, size * 0.5, size * 0.52);
      shade.addColorStop(0, "rgba(255,255,255,0.75)");
      shade.addColorStop(0.35, "rgba(255,255,255,0.08)");
      shade.addColorStop(0.75, "rgba(0,0,0,0.10)");
      shade.addColorStop(1, "rgba(0,0,0,0.42)");
      ctx.fillStyle = shade;
      ctx.fillRect(0, 0, size, size);
      sprites.set(colour, canvas);
    }
    return sprites.get(colour);
  }

  const multiply = (a, b) => a.map((row) => [0, 1, 2].map((k) => row[0] * b[0][k] + row[1] * b[1][k] + row[2] * b[2][k]));
  const about = {
    x: (t) => [[1, 0, 0], [0, Math.cos(t), -Math.sin(t)], [0, Math.sin(t), Math.cos(t)]],
    y: (t) => [[Math.cos(t), 0, Math.sin(t)], [0, 1, 0], [-Math.sin(t), 0, Math.cos(t)]],
  };
  const front = () => multiply(about.x(0.35), about.y(-0.35));
  const above = () => multiply(about.x(-1.15), [[Math.cos(0.5), -Math.sin(0.5), 0], [Math.sin(0.5), Math.cos(0.5), 0], [0, 0, 1]]);

  class Viewer {
    constructor() {
      this.rotation = above();
      this.zoom = 1;
      this.frame = 0;
      this.playing = false;
      this.pointers = new Map();
      this.resized = new ResizeObserver(() => this.draw());
    }

    attach(element) {
      this.canvas = element.querySelector("canvas");
      this.bar = element.querySelector(".ez-bar");
      if (this.canvas === this.bound) return;
      this.bound = this.canvas;
      this.resized.disconnect();
      this.resized.observe(this.canvas);
      const on = (name, fn, options) => this.canvas.addEventListener(name, fn, options);
      on("pointerdown", (event) => {
        this.canvas.setPointerCapture(event.pointerId);
        this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
      });
      for (const name of ["pointerup", "pointercancel"]) on(name, (event) => this.pointers.delete(event.pointerId));
      on("pointermove", (event) => this.drag(event));
      on("wheel", (event) => {
        if (!event.ctrlKey && document.activeElement !== this.canvas) return; // a page still scrolls past
        event.preventDefault();
        this.scale(Math.exp(-event.deltaY / 400));
      }, { passive: false });
      on("dblclick", () => this.reset());
      on("keydown", (event) => this.key(event));
      const [play, slider] = [this.bar.querySelector("button"), this.bar.querySelector("input")];
      play.addEventListener("click", () => this.play(!this.playing));
      slider.addEventListener("input", () => {
        this.play(false);
        this.frame = Number(slider.value);
        this.draw();
      });
    }

    show(scene) {
      const same = this.scene && this.scene.key === scene.key;
      const moves = Boolean(scene.frames && scene.frames.length > 1);
      this.scene = scene;
      if (!same) this.home();
      this.frame = 0;
      this.bar.hidden = !moves;
      this.canvas.setAttribute("aria-label", scene.label || "three-dimensional view");
      if (moves) this.bar.querySelector("input").max = String(scene.frames.length - 1);
      this.play(moves && !still);
      this.draw();
    }

    home() {
      this.rotation = this.scene.front ? front() : above();
      this.zoom = 1;
    }

    reset() {
      this.home();
      this.draw();
    }

    scale(factor) {
      this.zoom = Math.min(6, Math.max(0.3, this.zoom * factor));
      this.draw();
    }

    turn(dx, dy) {
      this.rotation = multiply(multiply(about.x(dy), about.y(dx)), this.rotation);
      this.draw();
    }

    key(event) {
      const step = 0.12;
      const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
      if (moves[event.key]) this.turn(...moves[event.key]);
      else if (event.key === "+" || event.key === "=") this.scale(1.15);
      else if (event.key === "-") this.scale(1 / 1.15);
      else if (event.key === "0") this.reset();
      else return;
      event.preventDefault();
    }

    drag(event) {
      const before = this.pointers.get(event.pointerId);
      if (!before) return;
      const now = [event.clientX, event.clientY];
      if (this.pointers.size === 1) this.turn((now[0] - before[0]) / 130, (now[1] - before[1]) / 130);
      else {
        const other = [...this.pointers].find(([id]) => id !== event.pointerId)[1];
        const span = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]);
        this.scale(span(now) / Math.max(1, span(before)));
      }
      this.pointers.set(event.pointerId, now);
    }

    play(wanted) {
      this.playing = wanted;
      const button = this.bar.querySelector("button");
      button.textContent = wanted ? "Pause" : "Play";
      if (!wanted || this.ticking) return;
      this.ticking = true;
      let last = null;
      const tick = (time) => {
        if (!this.playing || !this.canvas.isConnected) {
          this.ticking = false;
          return;
        }
        const frames = this.scene.frames.length - 1;
        if (last !== null && this.canvas.offsetParent !== null) {
          this.frame += ((time - last) / 1000) * (frames / (this.scene.seconds || 6));
          if (this.frame > frames * 1.12) this.frame = 0; // rests at the end for a moment
          this.draw();
        }
        last = time;
        requestAnimationFrame(tick);
      };
      requestAnimationFrame(tick);
    }

    positions() {
      const { frames, points } = this.scene;
      if (!frames || frames.length === 0) return points;
      const at = Math.min(this.frame, frames.length - 1);
      const [low, part] = [Math.floor(at), at - Math.floor(at)];
      const [a, b] = [frames[low], frames[Math.min(low + 1, frames.length - 1)]];
      return points.map((p, i) => (a[i] ? a[i].map((x, k) => x + part * (b[i][k] - x)) : p));
    }

    draw() {
      const { canvas, scene } = this;
      if (!scene || !canvas.isConnected || canvas.clientWidth === 0) return;
      const ratio = Math.min(2, window.devicePixelRatio || 1);
      const [width, height] = [canvas.clientWidth, canvas.clientHeight];
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      const ctx = canvas.getContext("2d");
      ctx.scale(ratio, ratio);
      const style = getComputedStyle(canvas);
      const [text, line] = [style.color, style.borderTopColor];
      const distance = 4.2 * scene.radius;
      const unit = (0.47 * Math.min(width, height) * this.zoom) / scene.radius;
      const r = this.rotation;
      const project = (p) => {
        const [x, y, z] = r.map((row) => row[0] * p[0] + row[1] * p[1] + row[2] * p[2]);
        const near = distance / Math.max(0.3 * distance, distance - z);
        return [width / 2 + x * unit * near, height / 2 - y * unit * near, z, near * unit];
      };
      if (scene.axes) this.axes(ctx, project, text);
      if (scene.frames && scene.trails) this.trails(ctx, project);
      const places = this.positions().map(project);
      const solid = (scene.bonds || []).length > 0; // what is behind must not shine through
      const fog = (z) => (solid ? 1 : Math.min(1, Math.max(0.35, 0.78 + (0.4 * z) / scene.radius)));
      const items = places.map((p, i) => [p[2], () => this.ball(ctx, p, scene.points[i], fog(p[2]))]);
      for (const [i, j, order] of scene.bonds || [])
        items.push([(places[i][2] + places[j][2]) / 2 - 1e-3, () => this.stick(ctx, places[i], places[j], i, j, order, fog, line)]);
      items.sort((a, b) => a[0] - b[0]);
      for (const item of items) item[1]();
      ctx.globalAlpha = 1;
      if (!this.bar.hidden) this.label();
    }

    ball(ctx, [x, y, , scale], [, , , radius, colour, ring], alpha) {
      const size = Math.max(1.1, radius * scale);
      ctx.globalAlpha = alpha;
      if (!ring) {
        ctx.drawImage(sprite(colour), x - size, y - size, 2 * size, 2 * size);
        return;
      }
      ctx.beginPath();
      ctx.arc(x, y, size, 0, 2 * Math.PI);
      ctx.strokeStyle = colour;
      ctx.lineWidth = 2;
      ctx.stroke();
    }

    stick(ctx, a, b, i, j, order, fog, line) {
      const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
      const length = Math.hypot(dx, dy) || 1;
      // a stick begins inside the ball in front of it, so that it is not drawn over that ball
      const long = Math.hypot(dx, dy, (b[2] - a[2]) * ((a[3] + b[3]) / 2)) || 1;
      const inset = (p, index) => (0.86 * this.scene.points[index][3] * p[3]) / long;
      const [sa, sb] = [inset(a, i), inset(b, j)];
      const [pa, pb] = [[a[0] + dx * sa, a[1] + dy * sa], [b[0] - dx * sb, b[1] - dy * sb]];
      const count = order === 2 || order === 3 ? order : 1;
      const width = (this.scene.stick || 0.11) * ((a[3] + b[3]) / 2) * (count === 1 ? 2 : 1);
      const middle = [(pa[0] + pb[0]) / 2, (pa[1] + pb[1]) / 2];
      ctx.lineCap = "butt";
      for (let k = 0; k < count; k += 1) {
        const shift = (k - (count - 1) / 2) * width * 1.9;
        const [ox, oy] = [(-dy / length) * shift, (dx / length) * shift];
        for (const [from, to, index, z] of [[pa, middle, i, a[2]], [middle, pb, j, b[2]]]) {
          const edge = [from[0] + ox, from[1] + oy, to[0] + ox, to[1] + oy];
          ctx.globalAlpha = fog(z);
          for (const [stroke, wide] of [[line, width + 1.4], [this.scene.points[index][4], width]]) {
            ctx.beginPath();
            ctx.moveTo(edge[0], edge[1]);
            ctx.lineTo(edge[2], edge[3]);
            ctx.strokeStyle = stroke;
            ctx.lineWidth = wide;
            ctx.stroke();
          }
        }
      }
    }

    trails(ctx, project) {
      const { frames, points } = this.scene;
      const last = Math.min(frames.length - 1, Math.floor(this.frame));
      points.forEach((point, i) => {
        ctx.strokeStyle = point[4];
        ctx.lineWidth = point[5] ? 1 : 1.6;
        ctx.setLineDash(point[5] ? [3, 4] : []);
        for (let k = 1; k <= last; k += 1) {
          const [from, to] = [project(frames[k - 1][i]), project(frames[k][i])];
          ctx.globalAlpha = 0.12 + (0.6 * k) / (last + 1);
          ctx.beginPath();
          ctx.moveTo(from[0], from[1]);
          ctx.lineTo(to[0], to[1]);
          ctx.stroke();
        }
      });
      ctx.setLineDash([]);
      ctx.globalAlpha = 1;
    }

    axes(ctx, project, text) {
      const size = 0.92 * this.scene.radius;
      const start = project([0, 0, 0]);
      ctx.font = "600 12px system-ui, sans-serif";
      [["x", "#d8574b"], ["y", "#3f9c63"], ["z", "#4877d6"]].forEach(([name, colour], k) => {
        const tip = [0, 0, 0];
        tip[k] = size;
        const end = project(tip);
        ctx.globalAlpha = 0.55;
        ctx.strokeStyle = ctx.fillStyle = colour;
        ctx.lineWidth = 1.5;
        ctx.beginPath();
        ctx.moveTo(start[0], start[1]);
        ctx.lineTo(end[0], end[1]);
        ctx.stroke();
        ctx.fillText(name, end[0] + 4, end[1] - 4);
      });
      ctx.fillStyle = text;
      ctx.globalAlpha = 1;
    }

    label() {
      const { scene } = this;
      const at = Math.min(this.frame, scene.frames.length - 1);
      const [low, part] = [Math.floor(at), at - Math.floor(at)];
      const next = scene.times[Math.min(low + 1, scene.times.length - 1)];
      const time = scene.times[low] + part * (next - scene.times[low]);
      this.bar.querySelector("input").value = String(at);
      const state = scene.states ? `${scene.states[Math.round(at)]} · ` : "";
      this.bar.querySelector("output").textContent = `${state}${time.toFixed(scene.digits ?? 1)} ${scene.unit || ""}`;
    }
  }

  window.EquizooViewer = {
    mount(element, value) {
      const viewer = (element.ezViewer = element.ezViewer || new Viewer());
      viewer.attach(element);
      if (value) viewer.show(JSON.parse(value));
    },
  };
})();
