// @ts-check
// The sheet that is written on: strokes in, strokes out; undo and redo; mouse, pen, finger, keyboard.

/** @typedef {import("./types.js").Stroke} Stroke */
/** @typedef {import("./types.js").Letter} Letter */

/** Width of a stroke at full pressure, in pixels. */
const PEN = 7;
/** How far an arrow key moves the pen. */
const STEP = 14;

export class Paper {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    const context = canvas.getContext("2d");
    if (!context) throw new Error("this browser cannot draw");
    this.context = context;
    /** @type {Stroke[]} */
    this.strokes = [];
    /** Earlier states of the sheet, and later ones that were undone. @type {Stroke[][]} */
    this.past = [];
    /** @type {Stroke[][]} */
    this.future = [];
    /** The stroke being drawn. @type {Stroke | null} */
    this.current = null;
    /** The pen that draws it. @type {number | null} */
    this.pointer = null;
    /** Where the keyboard's pen is. @type {{x: number, y: number} | null} */
    this.cursor = null;
    /** @type {Letter | null} */
    this.marked = null;
    this.changed = () => {};
    /** @type {(x: number, y: number) => void} */
    this.tapped = () => {};
    this.listen();
    new ResizeObserver(() => this.fit()).observe(canvas);
    this.fit();
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.up(event));
    canvas.addEventListener("pointercancel", (event) => this.up(event));
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("blur", () => {
      this.lift();
      this.cursor = null;
      this.draw();
    });
  }

  /** As many real pixels as the screen has. */
  fit() {
    const { width, height } = this.canvas.getBoundingClientRect();
    const scale = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
    this.context.setTransform(scale, 0, 0, scale, 0, 0);
    this.draw();
  }

  /** @param {PointerEvent} event */
  down(event) {
    if (this.pointer !== null || event.button > 0) return;
    event.preventDefault();
    this.canvas.focus({ preventScroll: true });
    this.lift();
    this.cursor = null;
    this.pointer = event.pointerId;
    this.canvas.setPointerCapture(event.pointerId);
    this.current = [this.point(event)];
    this.draw();
  }

  /** @param {PointerEvent} event */
  move(event) {
    if (event.pointerId !== this.pointer || !this.current) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const fine of events.length > 0 ? events : [event]) this.current.push(this.point(fine));
    this.draw();
  }

  /** @param {PointerEvent} event */
  up(event) {
    if (event.pointerId !== this.pointer || !this.current) return;
    this.pointer = null;
    const stroke = this.current;
    this.current = null;
    // A short tap on a character is a question about it, unless it could be the dot of an i.
    const [x, y] = stroke[0] ?? [0, 0];
    const still = stroke.every(([a, b]) => Math.hypot(a - x, b - y) < 3);
    if (still && this.marks(x, y)) {
      this.tapped(x, y);
      this.draw();
      return;
    }
    this.add(stroke);
  }

  /**
   * Whether a place lies on ink that is already there.
   * @param {number} x
   * @param {number} y
   */
  marks(x, y) {
    return this.strokes.some((stroke) => stroke.some(([a, b]) => Math.hypot(a - x, b - y) < PEN));
  }

  /**
   * @param {PointerEvent} event
   * @returns {[number, number, number]}
   */
  point(event) {
    const { left, top } = this.canvas.getBoundingClientRect();
    const round = (/** @type {number} */ value) => Math.round(value * 10) / 10;
    // A mouse knows no pressure and says 0.5.
    const pressure = event.pointerType === "pen" ? Math.max(0.1, event.pressure) : 0.5;
    return [round(event.clientX - left), round(event.clientY - top), pressure];
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? STEP / 4 : STEP;
    /** @type {Record<string, [number, number]>} */
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    const move = moves[event.key];
    const { width, height } = this.canvas.getBoundingClientRect();
    if (move) {
      this.cursor ??= { x: width / 4, y: height / 3 };
      this.cursor.x = Math.min(width, Math.max(0, this.cursor.x + move[0]));
      this.cursor.y = Math.min(height, Math.max(0, this.cursor.y + move[1]));
      this.current?.push([this.cursor.x, this.cursor.y, 0.5]);
    } else if (event.key === " ") {
      this.cursor ??= { x: width / 4, y: height / 3 };
      if (this.current) this.lift();
      else this.current = [[this.cursor.x, this.cursor.y, 0.5]];
    } else {
      return;
    }
    event.preventDefault();
    this.draw();
  }

  /** Ends a stroke drawn with the keyboard. */
  lift() {
    if (this.current && this.pointer === null) {
      const stroke = this.current;
      this.current = null;
      this.add(stroke);
    }
  }

  /** @param {Stroke} stroke */
  add(stroke) {
    this.set([...this.strokes, stroke]);
  }

  clear() {
    if (this.strokes.length > 0) this.set([]);
  }

  /** @param {Stroke[]} strokes */
  set(strokes) {
    this.past.push(this.strokes);
    this.future = [];
    this.show(strokes);
  }

  undo() {
    const before = this.past.pop();
    if (!before) return;
    this.future.push(this.strokes);
    this.show(before);
  }

  redo() {
    const after = this.future.pop();
    if (!after) return;
    this.past.push(this.strokes);
    this.show(after);
  }

  /** @param {Stroke[]} strokes */
  show(strokes) {
    this.strokes = strokes;
    this.marked = null;
    this.draw();
    this.changed();
  }

  /** Tints the ink of one character. @param {Letter | null} letter */
  mark(letter) {
    this.marked = letter;
    this.draw();
  }

  draw() {
    const { context, canvas } = this;
    const style = getComputedStyle(canvas);
    const colour = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
    const { width, height } = canvas.getBoundingClientRect();
    context.clearRect(0, 0, width, height);
    this.rule(width, height, colour("--rule"), colour("--margin"));
    if (this.marked) this.tint(this.marked, colour("--tint"));
    context.lineCap = "round";
    context.lineJoin = "round";
    context.strokeStyle = colour("--ink");
    context.fillStyle = colour("--ink");
    for (const stroke of this.strokes) this.ink(stroke);
    if (this.current) this.ink(this.current);
    if (this.cursor) this.pen(this.cursor, colour("--accent"));
  }

  /**
   * Lines to write on, as in a school book.
   * @param {number} width
   * @param {number} height
   * @param {string} rule
   * @param {string} margin
   */
  rule(width, height, rule, margin) {
    const { context } = this;
    const base = Math.round(0.68 * height) + 0.5;
    const middle = Math.round(0.45 * height) + 0.5;
    context.lineWidth = 1;
    context.strokeStyle = rule;
    context.beginPath();
    context.moveTo(0, base);
    context.lineTo(width, base);
    context.stroke();
    context.setLineDash([3, 7]);
    context.beginPath();
    context.moveTo(0, middle);
    context.lineTo(width, middle);
    context.stroke();
    context.setLineDash([]);
    context.strokeStyle = margin;
    context.beginPath();
    context.moveTo(28.5, 0);
    context.lineTo(28.5, height);
    context.stroke();
  }

  /**
   * @param {Letter} letter
   * @param {string} colour
   */
  tint(letter, colour) {
    const [left, top, right, bottom] = letter.box;
    const room = 10;
    this.context.fillStyle = colour;
    this.context.beginPath();
    this.context.roundRect(left - room, top - room, right - left + 2 * room, bottom - top + 2 * room, 10);
    this.context.fill();
  }

  /** @param {Stroke} stroke */
  ink(stroke) {
    const { context } = this;
    const wide = (/** @type {number} */ pressure) => PEN * (0.55 + 0.9 * pressure);
    const [first] = stroke;
    if (!first) return;
    context.beginPath();
    context.arc(first[0], first[1], wide(first[2]) / 2, 0, 2 * Math.PI);
    context.fill();
    // Through the middles of neighbouring points, so that the line bends instead of breaking.
    let [x, y] = first;
    for (let index = 1; index < stroke.length; index += 1) {
      const [fromX, fromY] = stroke[index - 1] ?? first;
      const [toX, toY, pressure] = stroke[index] ?? first;
      const last = index === stroke.length - 1;
      const [endX, endY] = last ? [toX, toY] : [(fromX + toX) / 2, (fromY + toY) / 2];
      context.lineWidth = wide(pressure);
      context.beginPath();
      context.moveTo(x, y);
      context.quadraticCurveTo(fromX, fromY, endX, endY);
      context.stroke();
      [x, y] = [endX, endY];
    }
  }

  /**
   * The keyboard's pen: a ring, full when it is down.
   * @param {{x: number, y: number}} cursor
   * @param {string} colour
   */
  pen({ x, y }, colour) {
    const { context } = this;
    context.strokeStyle = colour;
    context.fillStyle = colour;
    context.lineWidth = 2;
    context.beginPath();
    context.arc(x, y, 7, 0, 2 * Math.PI);
    if (this.current) context.fill();
    else context.stroke();
  }
}
