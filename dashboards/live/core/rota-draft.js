/**
 * A rota that somebody is changing: what the server showed, without what is only shown, and back into what it takes.
 * Nothing here judges it: the server does, as a whole, and says of each error where it is.
 */

export const PRIORITIES = ["high", "medium", "low", "info"];
export const KINDS = ["apprise", "alertmanager", "webhook"];
export const EVERYONE = "everyone";
const EMPTY = {
  people: [],
  rotations: [],
  rungs: { high: [[EVERYONE]], medium: [[EVERYONE]] },
  engineer_rungs: {},
  quiet_hours: null,
  digest_at: "07:30",
  drill: { every_days: 7, at: "10:00" },
  proven_within_days: 30,
};

/** What may be changed, apart from what is shown. */
export function draftOf(rota) {
  const draft = structuredClone(rota ?? EMPTY);
  for (const way of draft.people.flatMap((person) => person.methods)) delete way.destination; // asked only, never shown
  return draft;
}

/** What is put: empty fields are none, and a way leads where it did unless something was typed in. */
export function bodyOf(draft) {
  const method = ({ id, kind, priorities, secret, destination, key }) => ({
    id,
    kind,
    priorities,
    // Of a webhook what signs it is the second line.
    ...(destination ? { destination: key ? `${destination}\n${key}` : destination } : { secret: secret ?? null }),
  });
  return {
    ...draft,
    people: draft.people.map((person) => ({ ...person, methods: person.methods.map(method) })),
    rotations: draft.rotations.map((one) => ({
      ...one,
      last_day: one.last_day || null,
      overrides: one.overrides.map((other) => ({ ...other, person: other.person || null })),
    })),
  };
}

/** Names that a rung may have: people, rotations, everyone. */
export const namesOf = (draft) => [
  EVERYONE,
  ...draft.rotations.map((one) => one.id),
  ...draft.people.map((one) => one.id),
];

/**
 * The errors at one place of the page: `people/anna` also has those of her ways, which are left to them by `exactly`.
 * An entry whose shape is wrong is named by its number: `people[1]`.
 */
export const errorsAt = (errors, ...places) => errors.filter(({ place }) => places.includes(place));

/** Everything that this page has a place for; the others stand above it. */
export function placesOf(draft) {
  const places = ["digest_at", "quiet_hours", "drill", "proven_within_days", "rungs", "engineer_rungs"];
  draft.people.forEach((person, n) => {
    places.push(`people[${n}]`, `people/${person.id}`);
    for (const way of person.methods) places.push(`people/${person.id}/${way.id}`);
  });
  draft.rotations.forEach((one, n) => places.push(`rotations[${n}]`, `rotations/${one.id}`));
  for (const field of ["rungs", "engineer_rungs"]) {
    for (const priority of PRIORITIES) {
      places.push(`${field}/${priority}`);
      (draft[field][priority] ?? []).forEach((_, n) => places.push(`${field}/${priority}/${n + 1}`));
    }
  }
  return new Set(places);
}
