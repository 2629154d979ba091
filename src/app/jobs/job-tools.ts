/** What the work on jobs takes. It is a module of its own so that a server loads it with its first job. */
import { Places, type PlacesOptions } from '../../jobs/files/places.js';
import { Formats } from '../../jobs/formats/formats.js';
import { JobRunner, type RunnerParts } from '../../jobs/run/runner.js';

export interface JobTools {
  readonly places: Places;
  readonly formats: Formats;
  readonly runner: JobRunner;
}

export function openJobTools(
  of: PlacesOptions,
  parts: Omit<RunnerParts, 'places' | 'formats'>,
): JobTools {
  const places = new Places(of);
  const formats = new Formats(places);
  return { places, formats, runner: new JobRunner({ ...parts, places, formats }) };
}
