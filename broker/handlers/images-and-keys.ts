import { createImage, deleteImage, findImage, listImages } from '@landfall/store/images.ts';
import { createSshKey, deleteSshKey, getSshKey, listSshKeys } from '@landfall/store/ssh-keys.ts';
import { ownOrganization } from '../authorization.ts';
import type { Handlers } from '../handler.ts';
import { Problem } from '../problems.ts';

/** What machines are made from: images and SSH keys. */
export const imageAndKeyHandlers = {
  async listImages({ principal, query }, { db }) {
    return { status: 200, body: await listImages(db, principal.organization, query) };
  },
  async createImage({ principal, body, query, requester }, { db }) {
    const organization = ownOrganization(principal, body.organization);
    const image = await createImage(db, { ...body, organization }, requester, query.validateOnly);
    return { status: query.validateOnly ? 200 : 201, body: image };
  },
  async getImage({ principal, params }, { db }) {
    const image = await findImage(db, principal.organization, params.image);
    if (!image) throw new Problem('not-found', `There is no image ${params.image}.`);
    return { status: 200, body: image };
  },
  async deleteImage({ principal, params, query, ifMatch, requester }, { db }) {
    await deleteImage(db, principal.organization, params.image, ifMatch!, requester, query.validateOnly);
    return { status: 204 };
  },

  async listSshKeys({ params, query }, { db }) {
    return { status: 200, body: await listSshKeys(db, params.project, query) };
  },
  async createSshKey({ params, body, query, requester }, { db }) {
    const key = await createSshKey(db, params.project, body, requester, query.validateOnly);
    return { status: query.validateOnly ? 200 : 201, body: key };
  },
  async getSshKey({ params }, { db }) {
    return { status: 200, body: await getSshKey(db, params.project, params.sshKey) };
  },
  async deleteSshKey({ params, query, ifMatch, requester }, { db }) {
    await deleteSshKey(db, params.project, params.sshKey, ifMatch!, requester, query.validateOnly);
    return { status: 204 };
  },
} satisfies Partial<Handlers>;
